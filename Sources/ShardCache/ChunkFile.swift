import CXXHash

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

  /// 32 hex digits, the name of what belongs to this shard in the cache directory.
  var fileName: String {
    func hex(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return hex(high) + hex(low)
  }
}
