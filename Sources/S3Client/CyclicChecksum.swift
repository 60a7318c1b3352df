/// A reflected CRC of up to 64 bits that begins and ends inverted, eight bytes at a step.
package struct CyclicChecksum {
  /// IEEE 802.3.
  package static let crc32 = CyclicChecksum(width: 32, polynomial: 0xEDB8_8320)

  /// Castagnoli; RFC 3720.
  package static let crc32C = CyclicChecksum(width: 32, polynomial: 0x82F6_3B78)

  /// NVM Express, which Amazon S3 computes of every upload.
  package static let crc64NVME = CyclicChecksum(width: 64, polynomial: 0x9A6C_9329_AC4B_C9B5)

  private let width: Int

  /// For each of eight places, what a byte there adds to the remainder.
  private let tables: [UInt64]
  private var remainder: UInt64

  private init(width: Int, polynomial: UInt64) {
    self.width = width
    remainder = .max >> (64 - width)
    var tables = [UInt64](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt64(byte)
      for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ polynomial }
      tables[byte] = value
    }
    for place in 256..<(8 * 256) {
      let before = tables[place - 256]
      tables[place] = before >> 8 ^ tables[Int(before & 255)]
    }
    self.tables = tables
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var remainder = remainder
    var place = 0
    tables.withUnsafeBufferPointer { tables in
      while bytes.count - place >= 8 {
        let word =
          UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
          ^ remainder
        remainder = 0
        for byte in 0..<8 {
          remainder ^= tables[(7 - byte) * 256 + Int(word >> (8 * byte) & 255)]
        }
        place += 8
      }
      while place < bytes.count {
        remainder = remainder >> 8 ^ tables[Int((remainder ^ UInt64(bytes[place])) & 255)]
        place += 1
      }
    }
    self.remainder = remainder
  }

  /// The checksum, its first byte the highest.
  package var bytes: [UInt8] {
    let value = remainder ^ (.max >> (64 - width))
    return stride(from: width - 8, through: 0, by: -8).map { UInt8(value >> $0 & 255) }
  }
}
