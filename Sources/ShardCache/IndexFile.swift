import CXXHash
import Glibc
import TarIndex

/// A shard's index on disk, bound to the version of the object that it was made from.
///
/// The file is 64 bytes of our own and then the index as `ShardIndex` lays it out, which is mapped
/// and used in place. Little-endian:
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

  /// Maps the index, if there is a good one.
  ///
  /// Blocks on disk.
  func load() -> (index: ShardIndex, isInflated: Bool)? {
    let descriptor = openat(directory.indexes, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size > Int64(Self.headerBytes),
      status.st_size < Self.maxBytes
    else { return nil }
    let size = Int(status.st_size)
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED
    else { return nil }
    let header = UnsafeRawBufferPointer(start: base, count: Self.headerBytes)
    let isInflated = header.load(fromByteOffset: 12, as: UInt32.self).littleEndian == 1
    let isOurs = withUnsafeTemporaryAllocation(byteCount: Self.headerBytes, alignment: 8) {
      writeHeader(to: $0, isInflated: isInflated, indexBytes: size - Self.headerBytes)
      return header.elementsEqual(UnsafeRawBufferPointer($0))
    }
    guard isOurs else {
      munmap(base, size)
      return nil
    }
    let storage = IndexStorage(
      adoptingMapping: UnsafeRawBufferPointer(start: base, count: size),
      headerBytes: Self.headerBytes
    )
    guard let index = try? ShardIndex(validating: storage) else { return nil }
    return (index, isInflated)
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
