import CXXHash
import Glibc
import Remote

/// What a chunk's file says of itself, ahead of the bytes.
///
/// Every value is checked at each load, so that a file that was cut, swapped, flipped or written by
/// another version is a miss and never an answer. 64 bytes, little-endian:
///
///     0  8  magic "wdsfsCHK"          32  4  data bytes
///     8  4  format version            36  4  plane
///    12  4  chunk number              40  8  XXH3 of the data
///    16 16  shard identity            48  8  reserved, 0
///                                     56  8  XXH3 of bytes 0 to 55
struct ChunkFileHeader: Equatable {
  static let sizeBytes = 64
  static let formatVersion: UInt32 = 1
  private static let magic: UInt64 = 0x4B48_4373_6673_6477

  let identity: ShardIdentity
  let chunk: ChunkID
  let dataBytes: Int
  let dataChecksum: UInt64

  init(identity: ShardIdentity, chunk: ChunkID, data: UnsafeRawBufferPointer) {
    self.identity = identity
    self.chunk = chunk
    self.dataBytes = data.count
    self.dataChecksum = Self.checksum(of: data)
  }

  static func checksum(of data: UnsafeRawBufferPointer) -> UInt64 {
    wdsfs_xxh3_64(data.baseAddress, data.count, 0)
  }

  func write(to header: UnsafeMutableRawBufferPointer) {
    header.storeBytes(of: Self.magic.littleEndian, toByteOffset: 0, as: UInt64.self)
    header.storeBytes(of: Self.formatVersion.littleEndian, toByteOffset: 8, as: UInt32.self)
    header.storeBytes(
      of: UInt32(bitPattern: chunk.number).littleEndian,
      toByteOffset: 12,
      as: UInt32.self
    )
    header.storeBytes(of: identity.high.littleEndian, toByteOffset: 16, as: UInt64.self)
    header.storeBytes(of: identity.low.littleEndian, toByteOffset: 24, as: UInt64.self)
    header.storeBytes(
      of: UInt32(truncatingIfNeeded: dataBytes).littleEndian,
      toByteOffset: 32,
      as: UInt32.self
    )
    header.storeBytes(
      of: UInt32(chunk.plane.rawValue).littleEndian,
      toByteOffset: 36,
      as: UInt32.self
    )
    header.storeBytes(of: dataChecksum.littleEndian, toByteOffset: 40, as: UInt64.self)
    header.storeBytes(of: 0, toByteOffset: 48, as: UInt64.self)
    let sum = Self.checksum(of: UnsafeRawBufferPointer(rebasing: header[0..<56]))
    header.storeBytes(of: sum.littleEndian, toByteOffset: 56, as: UInt64.self)
  }

  /// Whether the header is one that `write` made for this chunk and these bytes.
  static func isValid(
    _ header: UnsafeRawBufferPointer,
    identity: ShardIdentity,
    chunk: ChunkID,
    data: UnsafeRawBufferPointer
  ) -> Bool {
    guard header.count == sizeBytes else { return false }
    return withUnsafeTemporaryAllocation(byteCount: sizeBytes, alignment: 8) { expected in
      ChunkFileHeader(identity: identity, chunk: chunk, data: data).write(to: expected)
      return header.elementsEqual(UnsafeRawBufferPointer(expected))
    }
  }
}

/// 128 bits that name one version of one object: store, key, ETag and size.
struct ShardIdentity: Hashable, Sendable {
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Two XXH3 sums with different seeds over the length-prefixed parts.
  ///
  /// What it guards against is a stale or foreign file in a directory that only its owner may
  /// write, so a cryptographic hash would add nothing.
  init(storeIdentity: String, key: [UInt8], eTag: String, sizeBytes: Int64) {
    var bytes: [UInt8] = []
    func add(_ part: some Collection<UInt8>) {
      withUnsafeBytes(of: UInt64(part.count).littleEndian) { bytes += $0 }
      bytes += part
    }
    add(storeIdentity.utf8)
    add(key)
    add(eTag.utf8)
    withUnsafeBytes(of: sizeBytes.littleEndian) { bytes += $0 }
    (high, low) = bytes.withUnsafeBytes { all in
      (
        wdsfs_xxh3_64(all.baseAddress, all.count, 0x7764_7366_7331),
        wdsfs_xxh3_64(all.baseAddress, all.count, 0x7764_7366_7332)
      )
    }
  }

  init(storeIdentity: String, object: ObjectInfo) {
    self.init(
      storeIdentity: storeIdentity,
      key: object.key.bytes,
      eTag: object.eTag,
      sizeBytes: object.sizeBytes
    )
  }

  /// 32 hex digits, the name of what belongs to this shard in the cache directory.
  var fileName: String {
    func hex(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return hex(high) + hex(low)
  }
}

/// Reads and writes whole chunk files: the header, then the bytes.
enum ChunkFile {
  enum Reading {
    case good
    case damaged
    case failed(Int32)
  }

  /// Reads a chunk into memory and checks every byte of the file.
  static func read(
    _ descriptor: Int32,
    identity: ShardIdentity,
    chunk: ChunkID,
    into memory: UnsafeMutableRawBufferPointer
  ) -> Reading {
    withUnsafeTemporaryAllocation(
      byteCount: ChunkFileHeader.sizeBytes,
      alignment: 8
    ) { header in
      let wanted = header.count + memory.count
      let got = transfer([header, memory], wanted) { parts, count, offset in
        preadv(descriptor, parts, count, offset)
      }
      // What is no file at all is the file's fault and not the disk's.
      guard got >= 0 else {
        return errno == EISDIR || errno == ESPIPE ? .damaged : .failed(errno)
      }
      let isValid = ChunkFileHeader.isValid(
        UnsafeRawBufferPointer(header),
        identity: identity,
        chunk: chunk,
        data: UnsafeRawBufferPointer(memory)
      )
      return got == wanted && isValid ? .good : .damaged
    }
  }

  /// - Returns: 0, or the error.
  static func write(
    _ data: UnsafeRawBufferPointer,
    to descriptor: Int32,
    identity: ShardIdentity,
    chunk: ChunkID
  ) -> Int32 {
    withUnsafeTemporaryAllocation(
      byteCount: ChunkFileHeader.sizeBytes,
      alignment: 8
    ) { header in
      ChunkFileHeader(identity: identity, chunk: chunk, data: data).write(to: header)
      let wanted = header.count + data.count
      // Never written to: the call takes one type for both ways.
      let parts = [header, UnsafeMutableRawBufferPointer(mutating: data)]
      let done = transfer(parts, wanted, atMost: writeBytes) { pwritev(descriptor, $0, $1, $2) }
      return done == wanted ? 0 : done < 0 ? errno : EIO
    }
  }

  /// Bytes of one call that writes.
  ///
  /// The kernel keeps what one call writes in blocks of memory as large as the call. Large ones are
  /// what the host of a virtual machine has taken back, and each of their pages costs ten times one
  /// that is still there: a gigabyte in calls of a megabyte took three times as long.
  private static let writeBytes = 256 << 10

  /// Repeats a vectored read or write until all is through, an error, or the end of the file.
  private static func transfer(
    _ buffers: [UnsafeMutableRawBufferPointer],
    _ wanted: Int,
    atMost callBytes: Int = .max,
    _ call: (UnsafePointer<iovec>, Int32, off_t) -> Int
  ) -> Int {
    var done = 0
    while done < wanted {
      var skipped = done
      var room = callBytes
      var parts: [iovec] = []
      for buffer in buffers where room > 0 {
        let skip = min(skipped, buffer.count)
        skipped -= skip
        let count = min(buffer.count - skip, room)
        room -= count
        if count > 0 {
          parts.append(iovec(iov_base: buffer.baseAddress.map { $0 + skip }, iov_len: count))
        }
      }
      let count = call(parts, Int32(parts.count), off_t(done))
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return -1 }
      if count == 0 { break }
      done += count
    }
    return done
  }
}

extension ShardIdentity {
  /// Reads back what `fileName` wrote; nil for any other name.
  init?(fileName: String) {
    guard fileName.utf8.count == 32 else { return nil }
    let middle = fileName.index(fileName.startIndex, offsetBy: 16)
    guard let high = UInt64(fileName[..<middle], radix: 16),
      let low = UInt64(fileName[middle...], radix: 16)
    else { return nil }
    self.init(high: high, low: low)
    guard self.fileName == fileName else { return nil }
  }
}

extension FileLedger.FileID {
  init(_ chunk: ChunkID, of identity: ShardIdentity) {
    self.init(identity: identity, plane: chunk.plane, number: chunk.number)
  }

  /// Reads back a file's name within its shard's folder; nil for any other name.
  init?(identity: ShardIdentity, name: String) {
    let isInflated = name.hasPrefix("i")
    guard let number = Int32(isInflated ? String(name.dropFirst()) : name), number >= 0 else {
      return nil
    }
    self.init(identity: identity, plane: isInflated ? .inflated : .stored, number: number)
    guard self.name == name else { return nil }
  }

  /// The chunk's number, with `i` before it for the inflated plane.
  private var name: String { plane == .inflated ? "i\(number)" : "\(number)" }

  /// Within the directory of all chunks.
  var path: String { "\(identity.fileName)/\(name)" }
}
