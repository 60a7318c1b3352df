/// How many samples the bucket itself says that its shards hold.
///
/// What is said is believed until a shard's index is there; if it was wrong, the shard is not served
/// at all, since an order has been made by it.
package struct StatedCounts: Sendable {
  private static let none: Int64 = -1

  /// By shard number; empty where nothing is stated.
  private var counts: [Int64] = []

  /// Who said so, and for which shard.
  private var sources: [String] = []
  private var sourceNumbers: [UInt8] = []

  /// Of nothing.
  package init() {}

  package init(shardCount: Int) {
    counts = Array(repeating: Self.none, count: shardCount)
    sourceNumbers = Array(repeating: 0, count: shardCount)
  }

  /// The stated count of a shard.
  package subscript(shard: Int) -> Int? {
    guard counts.indices.contains(shard), counts[shard] >= 0 else { return nil }
    return Int(counts[shard])
  }

  /// Who stated it, for messages.
  package func source(ofShard shard: Int) -> String {
    guard self[shard] != nil else { return "nobody" }
    return sources[Int(sourceNumbers[shard])]
  }

  /// Notes a count unless there is one, or it is none that a shard can have.
  package mutating func state(_ count: Int, ofShard shard: Int, source: String) {
    guard counts.indices.contains(shard), counts[shard] < 0, count >= 0, count < 1 << 32 else {
      return
    }
    var number = sources.firstIndex(of: source)
    if number == nil, sources.count < 255 {
      sources.append(source)
      number = sources.count - 1
    }
    guard let number else { return }
    counts[shard] = Int64(count)
    sourceNumbers[shard] = UInt8(number)
  }

  /// Whether all of some shards are stated.
  package func states(all shards: some Sequence<Int>) -> Bool {
    shards.allSatisfy { self[$0] != nil }
  }
}
