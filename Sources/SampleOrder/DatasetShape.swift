/// What is known of a shard's number of samples.
package enum SampleCount: Hashable, Sendable {
  case exactly(Int)
  case atLeast(Int)

  package static let unknown = SampleCount.atLeast(0)

  /// What is sure: the count itself, or its lower bound.
  package var lowerBound: Int {
    switch self {
    case .exactly(let count), .atLeast(let count): count
    }
  }

  package var isExact: Bool {
    switch self {
    case .exactly: true
    case .atLeast: false
    }
  }
}

/// How many shards a split has and, as far as known, how many samples each of them.
///
/// Eight bytes a shard. Shards are numbered by their place in the sorted listing.
package struct DatasetShape: Hashable, Sendable {
  package static let allowedShardCounts = 0...Int(Int32.max)

  /// No shard comes near: a tar of that many members begins at 2^50 bytes.
  package static let allowedSampleCounts = 0...(1 << 40)

  /// The samples of a split together; leaves room to multiply by the world size.
  package static let maxSamples = 1 << 46

  private var counts: [PackedCount]

  /// A split of which nothing but the number of shards is known.
  ///
  /// - Throws: `OrderError.outOfRange`.
  package init(shardCount: Int) throws(OrderError) {
    try OrderParameters.check(shardCount, Self.allowedShardCounts, "number of shards")
    counts = Array(repeating: PackedCount(.unknown), count: shardCount)
  }

  /// A split whose counts are all known.
  ///
  /// - Throws: `OrderError.outOfRange`.
  package init(sampleCounts: some Collection<Int>) throws(OrderError) {
    try self.init(shardCount: sampleCounts.count)
    for (shard, count) in sampleCounts.enumerated() {
      try set(.exactly(count), ofShard: shard)
    }
  }

  package var shardCount: Int { counts.count }

  /// The samples of all shards, where every count is exact and they can be added up.
  package var sampleCount: Int? {
    var total = 0
    for count in counts {
      guard count.isExact else { return nil }
      total += count.lowerBound
      guard total <= Self.maxSamples else { return nil }
    }
    return total
  }

  package subscript(shard: Int) -> SampleCount { counts[shard].sampleCount }

  /// Notes what is known of a shard, whatever was noted before.
  ///
  /// - Throws: `OrderError.outOfRange`, for the shard number as for the count.
  package mutating func set(_ count: SampleCount, ofShard shard: Int) throws(OrderError) {
    try OrderParameters.check(count.lowerBound, Self.allowedSampleCounts, "sample count of a shard")
    guard counts.indices.contains(shard) else {
      throw .outOfRange(what: "shard number", value: shard, allowed: 0...max(0, shardCount - 1))
    }
    counts[shard] = PackedCount(count)
  }

  /// The shards whose counts are not exact, in ascending order, the first `limit` of them.
  package func shardsNotCounted(limit: Int = .max) -> [Int] {
    var shards: [Int] = []
    for shard in counts.indices where !counts[shard].isExact {
      guard shards.count < limit else { break }
      shards.append(shard)
    }
    return shards
  }
}

/// A sample count in eight bytes: the lower bound, and in the last bit whether it is exact.
struct PackedCount: Hashable, Sendable {
  private let bits: Int

  init(_ count: SampleCount) {
    bits = count.lowerBound << 1 | (count.isExact ? 1 : 0)
  }

  var lowerBound: Int { bits >> 1 }
  var isExact: Bool { bits & 1 == 1 }
  var sampleCount: SampleCount { isExact ? .exactly(lowerBound) : .atLeast(lowerBound) }
}
