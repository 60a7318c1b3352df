/// One lane of an epoch that is dealt by shards: which shards, and what is known of their lengths.
///
/// Sixteen bytes a shard.
struct ShardLane: Hashable, Sendable {
  /// By place in the lane: what the shard has left to give.
  private var counts: [PackedCount]

  /// Before each shard, and after the last of them, as far as all earlier counts are exact: how many
  /// samples the lane has given.
  private(set) var starts: [Int] = [0]

  /// The sum of all that is sure.
  private(set) var lowerBound = 0

  init(counts: [PackedCount]) {
    self.counts = counts
    starts.reserveCapacity(counts.count + 1)
    for count in counts {
      lowerBound += count.lowerBound
    }
    extend()
  }

  var shardCount: Int { counts.count }

  /// How many shards from the lane's start are counted exactly.
  var countedShards: Int { starts.count - 1 }

  var length: SampleCount {
    countedShards == counts.count ? .exactly(lowerBound) : .atLeast(lowerBound)
  }

  func count(at place: Int) -> PackedCount { counts[place] }

  /// Takes up a count that is at least as good as the one before.
  ///
  /// - Returns: Whether anything is new. A count that contradicts what is known is not taken up.
  mutating func learn(_ count: SampleCount, at place: Int) -> Bool {
    let known = counts[place]
    guard !known.isExact, count.lowerBound >= known.lowerBound else { return false }
    guard count.isExact || count.lowerBound > known.lowerBound else { return false }
    lowerBound += count.lowerBound - known.lowerBound
    counts[place] = PackedCount(count)
    extend()
    return true
  }

  /// The place of the shard that gives the lane's sample `offset`, and how far into it that is.
  ///
  /// The place is the first uncounted shard's where no more can be said.
  func shard(at offset: Int) -> (place: Int, offset: Int) {
    let place = starts.lastPlace { $0 <= offset }
    return (place, offset - starts[place])
  }

  private mutating func extend() {
    while countedShards < counts.count, counts[countedShards].isExact {
      starts.append(starts[countedShards] + counts[countedShards].lowerBound)
    }
  }
}
