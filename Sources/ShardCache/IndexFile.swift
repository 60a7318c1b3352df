import CXXHash
import Glibc
import TarIndex

/// A shard's index on disk, bound to the version of the object that it was made from.
///
/// The file is 64 bytes of our own and then the index as `ShardIndex` lays it out, which is used in
/// place. Used is a copy that nobody else can reach: were the file itself mapped, whoever cut it short
/// would end this process by SIGBUS, and a byte changed after the checks would be believed.
///
/// Little-endian:
///
///     0  8  magic "wdsfsIDX"     24  8  identity, low half
///     8  4  format version       32  8  index bytes
///    12  4  1 where inflated     40 16  reserved, 0
///    16  8  identity, high half  56  8  XXH3 of bytes 0 to 55
struct IndexFile {
  private static let headerBytes = 64
  private static let magic: UInt64 = 0x5844_4973_6673_6477
  private static let formatVersion: UInt32 = 1

  /// An index of 2^32 members is far below this; a larger file is not ours.
  private static let maxBytes: Int64 = 1 << 40

  let directory: CacheDirectory
  let identity: ShardIdentity

  private var name: String { identity.fileName + ".idx" }

  /// Larger files are copied to one without a name, which the kernel may take out of memory again;
  /// below, a mapping of its own costs more than the bytes.
  private static let maxBytesInMemory = 16 << 10

  /// Loads the index, if there is a good one.
  ///
  /// Blocks on disk.
  func load() -> (index: ShardIndex, isInflated: Bool)? {
    let descriptor = openat(directory.indexes, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size > Int64(Self.headerBytes), status.st_size < Self.maxBytes,
      let isInflated = readHeader(descriptor, indexBytes: Int(status.st_size) - Self.headerBytes),
      let storage = copy(descriptor, byteCount: Int(status.st_size)),
      let index = try? ShardIndex(validating: storage)
    else { return nil }
    return (index, isInflated)
  }

  /// - Returns: Whether the index is of the inflated plane; nil where the header is not ours.
  private func readHeader(_ descriptor: Int32, indexBytes: Int) -> Bool? {
    withUnsafeTemporaryAllocation(byteCount: Self.headerBytes, alignment: 8) { header in
      guard readAll(descriptor, into: header, at: 0) else { return nil }
      let isInflated = header.load(fromByteOffset: 12, as: UInt32.self).littleEndian == 1
      return withUnsafeTemporaryAllocation(byteCount: Self.headerBytes, alignment: 8) { expected in
        writeHeader(to: expected, isInflated: isInflated, indexBytes: indexBytes)
        return header.elementsEqual(expected) ? isInflated : nil
      }
    }
  }

  private func copy(_ descriptor: Int32, byteCount: Int) -> IndexStorage? {
    if byteCount > Self.maxBytesInMemory, let mapped = mappedCopy(descriptor, byteCount: byteCount)
    {
      return mapped
    }
    var isWhole = false
    let storage = IndexStorage(byteCount: byteCount - Self.headerBytes) { block in
      isWhole = readAll(descriptor, into: block, at: Self.headerBytes)
      // What did not come must not be what the memory held before.
      if !isWhole { block.initializeMemory(as: UInt8.self, repeating: 0) }
    }
    return isWhole ? storage : nil
  }

  /// Nil where the disk is full or takes no file without a name; memory holds it then.
  private func mappedCopy(_ descriptor: Int32, byteCount: Int) -> IndexStorage? {
    let flags = Self.withoutName | O_RDWR | O_CLOEXEC
    let copy = openat(directory.indexes, ".", flags, 0o600)
    guard copy >= 0 else { return nil }
    defer { close(copy) }
    let pieceBytes = 64 << 10
    let isWhole = withUnsafeTemporaryAllocation(byteCount: pieceBytes, alignment: 8) { buffer in
      for offset in stride(from: 0, to: byteCount, by: pieceBytes) {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: buffer.prefix(min(pieceBytes, byteCount - offset))
        )
        guard readAll(descriptor, into: piece, at: offset),
          writeAll(UnsafeRawBufferPointer(piece), to: copy)
        else { return false }
      }
      return true
    }
    guard isWhole else { return nil }
    guard let base = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, copy, 0), base != MAP_FAILED
    else { return nil }
    return IndexStorage(
      adoptingMapping: UnsafeRawBufferPointer(start: base, count: byteCount),
      headerBytes: Self.headerBytes
    )
  }

  /// `O_TMPFILE` of fcntl.h, a macro that Swift does not see: `__O_TMPFILE | O_DIRECTORY`.
  private static let withoutName: Int32 = 0o20_000_000 | O_DIRECTORY

  private func readAll(
    _ descriptor: Int32,
    into block: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) -> Bool {
    var done = 0
    while done < block.count {
      let start = block.baseAddress?.advanced(by: done)
      let count = pread(descriptor, start, block.count - done, off_t(offset + done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// Writes the index beside its place and moves it there; a failure leaves none.
  ///
  /// Blocks on disk.
  ///
  /// - Returns: Whether it was kept.
  @discardableResult
  func store(_ index: ShardIndex, isInflated: Bool) -> Bool {
    guard let temporary = TemporaryFile(in: directory.indexes) else { return false }
    let isWritten = index.withSerialized { body in
      withUnsafeTemporaryAllocation(byteCount: Self.headerBytes, alignment: 8) { header in
        writeHeader(to: header, isInflated: isInflated, indexBytes: body.count)
        return writeAll(UnsafeRawBufferPointer(header), to: temporary.descriptor)
          && writeAll(body, to: temporary.descriptor)
      }
    }
    if isWritten, temporary.move(to: name) == 0 { return true }
    temporary.remove()
    return false
  }

  private func writeHeader(
    to header: UnsafeMutableRawBufferPointer,
    isInflated: Bool,
    indexBytes: Int
  ) {
    header.storeBytes(of: Self.magic.littleEndian, toByteOffset: 0, as: UInt64.self)
    header.storeBytes(of: Self.formatVersion.littleEndian, toByteOffset: 8, as: UInt32.self)
    header.storeBytes(
      of: UInt32(isInflated ? 1 : 0).littleEndian,
      toByteOffset: 12,
      as: UInt32.self
    )
    header.storeBytes(of: identity.high.littleEndian, toByteOffset: 16, as: UInt64.self)
    header.storeBytes(of: identity.low.littleEndian, toByteOffset: 24, as: UInt64.self)
    header.storeBytes(of: UInt64(indexBytes).littleEndian, toByteOffset: 32, as: UInt64.self)
    header.storeBytes(of: 0, toByteOffset: 40, as: UInt64.self)
    header.storeBytes(of: 0, toByteOffset: 48, as: UInt64.self)
    let sum = wdsfs_xxh3_64(header.baseAddress, 56, 0)
    header.storeBytes(of: sum.littleEndian, toByteOffset: 56, as: UInt64.self)
  }

  private func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
    var rest = bytes
    while let start = rest.baseAddress, !rest.isEmpty {
      let count = write(descriptor, start, rest.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    return true
  }
}
