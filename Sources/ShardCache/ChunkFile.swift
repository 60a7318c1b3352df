import CXXHash
import Glibc
import Remote

/// What a chunk's file says of itself, ahead of the bytes.
///
/// Every value is checked at each load, so that a file that was cut, swapped, flipped or written by
/// another version is a miss and never an answer. Each block of 64 KiB has a sum of its own, so that
/// a single sample need not be read with all that lies round it. 176 bytes, little-endian:
///
///     0  8  magic "wdsfsCHK"          32   4  data bytes
///     8  4  format version            36   4  plane
///    12  4  chunk number              40 128  XXH3 of each block, 0 beyond the last
///    16 16  shard identity           168   8  XXH3 of bytes 0 to 167
struct ChunkFileHeader: Equatable {
  static let sizeBytes = 176
  static let blockBytes = 64 << 10
  static let formatVersion: UInt32 = 2
  private static let magic: UInt64 = 0x4B48_4373_6673_6477
  private static let sumsOffset = 40
  private static let sealOffset = 168

  let identity: ShardIdentity
  let chunk: ChunkID
  let dataBytes: Int

  static func checksum(of data: UnsafeRawBufferPointer) -> UInt64 {
    wdsfs_xxh3_64(data.baseAddress, data.count, 0)
  }

  /// The blocks that hold a part of a chunk, as a part of it.
  static func blocks(holding part: Range<Int>, of dataBytes: Int) -> Range<Int> {
    let start = part.lowerBound / blockBytes * blockBytes
    let end = (part.upperBound + blockBytes - 1) / blockBytes * blockBytes
    return start..<max(start, min(end, dataBytes))
  }

  func write(to header: UnsafeMutableRawBufferPointer, for data: UnsafeRawBufferPointer) {
    writeNames(to: header)
    for number in 0..<(Self.sealOffset - Self.sumsOffset) / 8 {
      let block = data.dropFirst(number * Self.blockBytes).prefix(Self.blockBytes)
      let sum = block.isEmpty ? 0 : Self.checksum(of: .init(rebasing: block))
      let place = Self.sumsOffset + number * 8
      header.storeBytes(of: sum.littleEndian, toByteOffset: place, as: UInt64.self)
    }
    seal(header)
  }

  /// Compares a header, and a part of the bytes, with what `write` made of them.
  ///
  /// - Parameters:
  ///   - header: As read.
  ///   - data: Memory of the whole chunk, of which the part was read.
  ///   - part: Whole blocks.
  /// - Returns: Whether both are good.
  func isValid(
    _ header: UnsafeRawBufferPointer,
    for data: UnsafeRawBufferPointer,
    part: Range<Int>
  ) -> Bool {
    guard header.count == Self.sizeBytes else { return false }
    let isOurs = withUnsafeTemporaryAllocation(
      byteCount: Self.sizeBytes,
      alignment: 8
    ) { expected in
      // The sums are the file's own word, under its seal.
      expected.copyMemory(from: header)
      writeNames(to: expected)
      seal(expected)
      return header.elementsEqual(UnsafeRawBufferPointer(expected))
    }
    guard isOurs else { return false }
    return stride(from: part.lowerBound, to: part.upperBound, by: Self.blockBytes).allSatisfy {
      let place = Self.sumsOffset + $0 / Self.blockBytes * 8
      let sum = UInt64(littleEndian: header.loadUnaligned(fromByteOffset: place, as: UInt64.self))
      let block = $0..<min($0 + Self.blockBytes, part.upperBound)
      return sum == Self.checksum(of: .init(rebasing: data[block]))
    }
  }

  private func writeNames(to header: UnsafeMutableRawBufferPointer) {
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
  }

  private func seal(_ header: UnsafeMutableRawBufferPointer) {
    let sum = Self.checksum(of: UnsafeRawBufferPointer(rebasing: header[0..<Self.sealOffset]))
    header.storeBytes(of: sum.littleEndian, toByteOffset: Self.sealOffset, as: UInt64.self)
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

  /// Reads a part of a chunk to its place in memory, and checks the header and every byte of it.
  ///
  /// - Parameters:
  ///   - descriptor: The file.
  ///   - part: Whole blocks.
  ///   - header: What the file must say.
  ///   - memory: Of the whole chunk.
  /// - Returns: Whether the part is there now.
  static func read(
    _ descriptor: Int32,
    part: Range<Int>,
    _ header: ChunkFileHeader,
    into memory: UnsafeMutableRawBufferPointer
  ) -> Reading {
    withUnsafeTemporaryAllocation(
      byteCount: ChunkFileHeader.sizeBytes,
      alignment: 8
    ) { found in
      let wanted = UnsafeMutableRawBufferPointer(rebasing: memory[part])
      let isNextToHeader = part.lowerBound == 0
      let first = isNextToHeader ? [found, wanted] : [found]
      var got = transfer(first) { preadv(descriptor, $0, $1, $2) }
      if got == found.count, !isNextToHeader {
        let start = found.count + part.lowerBound
        let more = transfer([wanted], from: start) { preadv(descriptor, $0, $1, $2) }
        got = more < 0 ? more : got + more
      }
      // What is no file at all is the file's fault and not the disk's.
      guard got >= 0 else {
        return errno == EISDIR || errno == ESPIPE ? .damaged : .failed(errno)
      }
      guard got == found.count + wanted.count else { return .damaged }
      let isValid = header.isValid(
        UnsafeRawBufferPointer(found),
        for: UnsafeRawBufferPointer(memory),
        part: part
      )
      return isValid ? .good : .damaged
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
      ChunkFileHeader(identity: identity, chunk: chunk, dataBytes: data.count)
        .write(to: header, for: data)
      let wanted = header.count + data.count
      // Never written to: the call takes one type for both ways.
      let parts = [header, UnsafeMutableRawBufferPointer(mutating: data)]
      let done = transfer(parts, atMost: writeBytes) { pwritev(descriptor, $0, $1, $2) }
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
    from start: Int = 0,
    atMost callBytes: Int = .max,
    _ call: (UnsafePointer<iovec>, Int32, off_t) -> Int
  ) -> Int {
    let wanted = buffers.reduce(0) { $0 + $1.count }
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
      let count = call(parts, Int32(parts.count), off_t(start + done))
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
