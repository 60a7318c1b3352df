import CXXHash
import Glibc
import Remote

/// Many shards' indexes in one object, as `docs/index-format.md` describes it: read and written.
///
/// What is read comes from the bucket and is trusted with nothing: every number is checked before it
/// is used, and what does not fit makes the whole pack none.
enum PublishedPack {
  static let headerBytes = 64
  static let entryBytes = 48
  static let version: UInt32 = 1
  private static let magic = Array("WDSFSPCK".utf8)

  /// A table of this many bytes tells of more than a million shards.
  static let maxTableBytes = 64 << 20

  /// An index is never shorter than its own header.
  private static let minIndexBytes: UInt64 = 136

  /// What a pack says of one shard.
  struct Entry: Hashable, Sendable {
    /// Of key, ETag and size: what the index was made from.
    let identity: ShardIdentity

    /// Where the index lies in the pack; empty where only the count is stated.
    let range: Range<Int64>

    let sampleCount: Int
    let isInflated: Bool
  }

  /// The identity by which a pack knows a shard: by its key below the remote, so that a bucket that
  /// was copied as it is keeps its index.
  static func identity(of object: ObjectInfo, prefixCount: Int) -> ShardIdentity {
    ShardIdentity(
      storeIdentity: "published",
      key: Array(object.key.bytes.dropFirst(prefixCount)),
      eTag: object.eTag,
      sizeBytes: object.sizeBytes
    )
  }

  // MARK: Reading

  /// Reads from a pack's first bytes how long header and table are.
  ///
  /// - Parameters:
  ///   - bytes: At least the header.
  ///   - packBytes: Of the object, as listed.
  /// - Returns: Where the table ends.
  /// - Throws: What is wrong with it.
  static func tableEnd(
    _ bytes: UnsafeRawBufferPointer,
    packBytes: Int64
  ) throws(PackError) -> Int {
    guard bytes.count >= headerBytes, bytes.prefix(8).elementsEqual(magic) else {
      throw .malformed("it does not begin as a pack does")
    }
    let found = bytes.packNumber(at: 16, as: UInt32.self)
    guard found == version else { throw .newer(Int(found)) }
    guard bytes.packNumber(at: 24, as: UInt64.self) == UInt64(clamping: packBytes) else {
      throw .malformed("its size is not the one it states")
    }
    let count = Int(bytes.packNumber(at: 20, as: UInt32.self))
    guard count <= maxTableBytes / entryBytes else { throw .malformed("too many shards") }
    let end = headerBytes + count * entryBytes
    guard end <= packBytes else { throw .malformed("its table goes beyond its end") }
    return end
  }

  /// Reads the table.
  ///
  /// - Parameters:
  ///   - bytes: Header and table, as long as `tableEnd` says.
  ///   - packBytes: Of the object, as listed.
  /// - Returns: Its entries, in the order of their identities, no two with the same.
  /// - Throws: What is wrong with it.
  static func entries(
    _ bytes: UnsafeRawBufferPointer,
    packBytes: Int64
  ) throws(PackError) -> [Entry] {
    let end = try tableEnd(bytes, packBytes: packBytes)
    guard bytes.count == end, let start = bytes.baseAddress else {
      throw .malformed("its table is cut short")
    }
    guard bytes.packNumber(at: 8, as: UInt64.self) == wdsfs_xxh3_64(start + 16, end - 16, 0) else {
      throw .malformed("its checksum is wrong")
    }
    var entries: [Entry] = []
    entries.reserveCapacity((end - headerBytes) / entryBytes)
    for place in stride(from: headerBytes, to: end, by: entryBytes) {
      let entry = try entry(bytes, at: place, tableEnd: end, packBytes: packBytes)
      if let last = entries.last?.identity {
        guard (last.high, last.low) < (entry.identity.high, entry.identity.low) else {
          throw .malformed("its shards are not in order")
        }
      }
      entries.append(entry)
    }
    return entries
  }

  private static func entry(
    _ bytes: UnsafeRawBufferPointer,
    at place: Int,
    tableEnd: Int,
    packBytes: Int64
  ) throws(PackError) -> Entry {
    let offset = bytes.packNumber(at: place + 16, as: UInt64.self)
    let length = bytes.packNumber(at: place + 24, as: UInt64.self)
    let samples = bytes.packNumber(at: place + 32, as: UInt64.self)
    let flags = bytes.packNumber(at: place + 40, as: UInt32.self)
    let (end, isOver) = offset.addingReportingOverflow(length)
    guard !isOver, end <= UInt64(clamping: packBytes), offset >= UInt64(tableEnd),
      length == 0 || length >= minIndexBytes
    else { throw .malformed("an index lies outside of it") }
    guard samples < 1 << 32, flags <= 1 else { throw .malformed("an impossible number") }
    return Entry(
      identity: ShardIdentity(
        high: bytes.packNumber(at: place, as: UInt64.self),
        low: bytes.packNumber(at: place + 8, as: UInt64.self)
      ),
      range: Int64(offset)..<Int64(end),
      sampleCount: Int(samples),
      isInflated: flags & 1 != 0
    )
  }

  // MARK: Writing

  /// Lays out header and table of a pack.
  ///
  /// - Parameters:
  ///   - entries: In any order, no two of the same shard.
  ///   - packBytes: Of the whole pack.
  /// - Returns: The pack's first bytes.
  static func table(_ entries: [Entry], packBytes: Int64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: headerBytes + entries.count * entryBytes)
    bytes.withUnsafeMutableBytes { all in
      all.copyBytes(from: magic)
      all.put(version, at: 16)
      all.put(UInt32(entries.count), at: 20)
      all.put(UInt64(packBytes), at: 24)
      let sorted = entries.sorted {
        ($0.identity.high, $0.identity.low) < ($1.identity.high, $1.identity.low)
      }
      for (number, entry) in sorted.enumerated() {
        let place = headerBytes + number * entryBytes
        all.put(entry.identity.high, at: place)
        all.put(entry.identity.low, at: place + 8)
        all.put(UInt64(entry.range.lowerBound), at: place + 16)
        all.put(UInt64(entry.range.count), at: place + 24)
        all.put(UInt64(entry.sampleCount), at: place + 32)
        all.put(UInt32(entry.isInflated ? 1 : 0), at: place + 40)
      }
      guard let start = all.baseAddress else { return }
      all.put(wdsfs_xxh3_64(start + 16, all.count - 16, 0), at: 8)
    }
    return bytes
  }
}

/// Why a pack is not used.
enum PackError: Error, Hashable, CustomStringConvertible {
  case malformed(String)

  /// Of a later version of the format.
  case newer(Int)

  var description: String {
    switch self {
    case .malformed(let what): what
    case .newer(let version): "it is of format \(version), this program knows 1"
    }
  }
}

extension UnsafeRawBufferPointer {
  /// A little-endian number at a place that was checked to lie within.
  fileprivate func packNumber<Number: FixedWidthInteger>(
    at place: Int,
    as type: Number.Type
  ) -> Number {
    Number(littleEndian: loadUnaligned(fromByteOffset: place, as: type))
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func put(_ number: some FixedWidthInteger, at place: Int) {
    storeBytes(of: number.littleEndian, toByteOffset: place, as: type(of: number))
  }
}
