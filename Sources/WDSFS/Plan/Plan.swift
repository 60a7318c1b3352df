package import SampleOrder
import ShardCache

/// What a mount would do, worked out from a listing, what the bucket states, and the order.
///
/// No shard is read: bytes are exact, numbers of samples that nobody states are as good as the mean
/// that they are taken from.
package struct Plan: Sendable, Encodable {
  /// What the arithmetic starts from.
  package struct Input: Sendable {
    package struct Split: Sendable {
      package let name: String

      /// Of each shard, in the listing's order.
      package let shardBytes: [Int64]
      package let compressedShardCount: Int

      /// As the user says; nil where what is stated, or the mean of other datasets, must do.
      package let sampleCount: Int?

      /// What the bucket states of each shard; empty where it states nothing.
      package let statedCounts: [Int?]

      package init(
        name: String,
        shardBytes: [Int64],
        compressedShardCount: Int = 0,
        sampleCount: Int? = nil,
        statedCounts: [Int?] = []
      ) {
        self.name = name
        self.shardBytes = shardBytes
        self.compressedShardCount = compressedShardCount
        self.sampleCount = sampleCount
        self.statedCounts = statedCounts
      }

      /// The counts of all shards; nil where one of them is not stated.
      var allStatedCounts: [Int]? {
        let counts = statedCounts.compactMap(\.self)
        return counts.count == shardBytes.count ? counts : nil
      }
    }

    package var remote = ""
    package var splits: [Split] = []
    package var shuffle = OrderParameters.Shuffle.none
    package var seed: UInt64 = 0
    package var worldSize = 1

    /// As asked for; nil for the default.
    package var lanes: Int?
    package var shuffleWindow = 1

    /// As asked for; nil where each split is dealt as the bucket states its counts or not.
    package var partition: OrderParameters.Partition?
    package var equalize: OrderParameters.Equalize?
    package var epoch = 0

    /// Of all ranks those that one mount serves.
    package var localRanks = 1

    /// What the cache of one mount may hold.
    package var cacheBytes: Int64 = 0
    package var workers = 16

    package init() {}
  }

  /// A sample of which nothing is known is taken to be as large as a photograph.
  package static let assumedSampleBytes: Int64 = 110_000

  /// And no larger than lets a shard hold so many: nobody makes tars of one photograph each.
  static let leastSamplesOfShard: Int64 = 8

  /// What one range GET of read-ahead brings, and what one sample read out of order brings.
  static let requestBytes: Int64 = 4 << 20
  static let chunkBytes: Int64 = 1 << 20

  package let version = 1
  package let remote: String
  package let shuffle: String
  package let seed: UInt64
  package let worldSize: Int
  package let localRanks: Int
  package let cacheBytes: Int64

  /// The smallest cache that a mount takes with which nothing is fetched twice, of all splits the
  /// largest.
  package let neededCacheBytes: Int64
  package let splits: [Split]

  /// What should be thought over before the run, what matters most first.
  package let warnings: [Warning]

  package struct Warning: Sendable, Hashable, Encodable {
    /// For programs, for example `cache-too-small`.
    package let name: String
    package let text: String
  }

  package struct Split: Sendable, Encodable {
    package let name: String
    package let shards: Int
    package let bytes: Int64
    package let smallestShardBytes: Int64
    package let largestShardBytes: Int64
    package let samples: Int

    /// Whether the number of samples was given or stated rather than taken from a mean.
    package let isSampleCountKnown: Bool
    package let partition: String
    package let lanes: Int
    package let shuffleWindow: Int
    package let ranks: [Rank]

    /// Range GETs of an epoch over all ranks, and those that count samples before it.
    package let requests: Int
    package let countingRequests: Int

    /// What all lanes of the local ranks have open at once.
    package let openBytes: Int64

    /// The smallest cache with which nothing of it is fetched twice.
    package let neededCacheBytes: Int64

    /// How often an epoch's bytes are fetched with the cache that there is.
    package let timesFetched: Double

    /// A shuffle buffer of so many samples mixes about as well; 0 where nothing is mixed.
    package let shuffleBufferSamples: Int

    /// For the first samples of rank 0 the shard of each, for a plot.
    package let firstShards: [Int]
  }

  package struct Rank: Sendable, Encodable {
    package let rank: Int
    package let shards: Int
    package let samples: Int
    package let bytes: Int64
  }

  /// - Throws: `OrderError` for options that make no order.
  package init(_ input: Input) throws(OrderError) {
    remote = input.remote
    shuffle = input.shuffle.rawValue
    seed = input.seed
    worldSize = input.worldSize
    localRanks = input.localRanks
    cacheBytes = input.cacheBytes
    var splits: [Split] = []
    for split in input.splits { splits.append(try Self.split(split, input)) }
    self.splits = splits
    neededCacheBytes = max(
      CacheSettings.minBudgetBytes,
      splits.map(\.neededCacheBytes).max() ?? 0
    )
    warnings = PlanWarnings(input, splits).all
  }

  // MARK: One split

  private static func split(_ split: Input.Split, _ input: Input) throws(OrderError) -> Split {
    let parameters = try OrderParameters(
      shuffle: input.shuffle,
      seed: input.seed,
      worldSize: input.worldSize,
      lanes: input.lanes,
      shuffleWindow: input.shuffleWindow,
      partition: input.partition ?? (split.allStatedCounts == nil ? .shards : .samples),
      equalize: input.equalize
    )
    let bytes = split.shardBytes.lazy.map { max(0, $0) }.sum
    let counts = sampleCounts(split, bytes)
    let order = try EpochOrder(
      parameters,
      epoch: input.epoch,
      shape: DatasetShape(sampleCounts: counts)
    )
    var ranks: [Rank] = []
    var openBytes: [Int64] = []
    for number in 0..<input.worldSize {
      let walk = RankWalk(order.rank(number), shardBytes: split.shardBytes, counts, parameters)
      ranks.append(walk.rank)
      openBytes.append(walk.openBytes)
    }
    // Which ranks a mount serves is not known: the largest count.
    let open = openBytes.sorted(by: >).prefix(input.localRanks).reduce(0, +)
    let samples = counts.reduce(0, +)
    let isMixed = parameters.shuffle == .full
    let lanesOfRank = parameters.lanes / input.worldSize
    let mean = split.shardBytes.isEmpty ? 0 : samples / split.shardBytes.count
    let inFlight = Int64(input.workers) * requestBytes
    // More than all of it is never wanted.
    let needed = min(
      open &+ inFlight,
      split.shardBytes.lazy.map { CacheWiring.keptBytes(ofShard: max(0, $0)) }.sum
    )
    return Split(
      name: split.name,
      shards: split.shardBytes.count,
      bytes: bytes,
      smallestShardBytes: split.shardBytes.min() ?? 0,
      largestShardBytes: split.shardBytes.max() ?? 0,
      samples: samples,
      isSampleCountKnown: split.sampleCount != nil || split.allStatedCounts != nil,
      partition: parameters.partition.rawValue,
      lanes: parameters.lanes,
      shuffleWindow: parameters.shuffleWindow,
      ranks: ranks,
      requests: split.shardBytes.reduce(0) { $0 + requests(ofShard: $1) },
      countingRequests: countingRequests(split, parameters),
      openBytes: open,
      neededCacheBytes: needed,
      timesFetched: needed <= input.cacheBytes
        ? 1
        : timesFetched(
          openBytes: open,
          cacheBytes: input.cacheBytes - inFlight,
          sampleBytes: samples > 0 ? max(1, bytes / Int64(samples)) : assumedSampleBytes,
          isMixed: isMixed
        ),
      shuffleBufferSamples: isMixed
        ? min(samples, lanesOfRank * parameters.shuffleWindow * mean / 2) : 0,
      firstShards: firstShards(order.rank(0))
    )
  }

  /// As stated, unless the user says otherwise; else in proportion to the bytes, together as many as
  /// the user says or the mean makes.
  private static func sampleCounts(_ split: Input.Split, _ bytes: Int64) -> [Int] {
    let allowed = DatasetShape.allowedSampleCounts
    if split.sampleCount == nil, let stated = split.allStatedCounts {
      return stated.map { max(0, min($0, allowed.upperBound)) }
    }
    let mean: Double
    if let count = split.sampleCount, count > 0, bytes > 0 {
      mean = Double(bytes) / Double(count)
    } else {
      let shards = Int64(max(1, split.shardBytes.count))
      mean = Double(max(1, min(assumedSampleBytes, bytes / shards / leastSamplesOfShard)))
    }
    var before: Int64 = 0
    return split.shardBytes.map { size in
      let first = (Double(before) / mean).rounded()
      before &+= max(0, size)
      let last = (Double(max(0, before)) / mean).rounded()
      return max(0, min(Int(last) - Int(first), allowed.upperBound))
    }
  }

  /// Where every count is wanted beforehand, some headers of each shard are read of which none is
  /// stated: the whole shard where its samples are small.
  private static func countingRequests(_ split: Input.Split, _ parameters: OrderParameters) -> Int {
    guard parameters.partition == .samples || parameters.equalize != nil else { return 0 }
    return split.shardBytes.enumerated().reduce(0) { sum, shard in
      let isStated =
        split.statedCounts.indices.contains(shard.offset)
        && split.statedCounts[shard.offset] != nil
      return sum + (isStated ? 0 : requests(ofShard: shard.element))
    }
  }

  private static func requests(ofShard bytes: Int64) -> Int {
    Int((max(0, bytes) + requestBytes - 1) / requestBytes)
  }

  /// How often bytes are fetched where samples of a window are read at random and only a part of
  /// the window is kept.
  ///
  /// A chunk is fetched once, and again by each later sample of it that finds it gone.
  static func timesFetched(
    openBytes: Int64,
    cacheBytes: Int64,
    sampleBytes: Int64,
    isMixed: Bool
  ) -> Double {
    guard isMixed, openBytes > max(0, cacheBytes), openBytes > 0 else { return 1 }
    let kept = Double(max(0, cacheBytes)) / Double(openBytes)
    let readsOfChunk = max(1, Double(chunkBytes) / Double(sampleBytes))
    return 1 + (readsOfChunk - 1) * (1 - kept)
  }

  private static let plottedCount = 600

  private static func firstShards(_ rank: RankOrder) -> [Int] {
    var shards: [Int] = []
    for position in 0..<plottedCount {
      guard case .sample(let shard, _) = rank.place(at: position) else { break }
      shards.append(shard)
    }
    return shards
  }
}

/// What one rank reads in an epoch, and what it has open at once.
private struct RankWalk {
  let rank: Plan.Rank
  private(set) var openBytes: Int64 = 0

  init(
    _ order: RankOrder,
    shardBytes: [Int64],
    _ counts: [Int],
    _ parameters: OrderParameters
  ) {
    var shards = 0
    var samples = 0
    var bytes: Int64 = 0
    for lane in 0..<order.laneCount {
      var slices: [Int64] = []
      order.forEachUpcomingSlice(lane: lane, from: 0) { slice in
        let count = counts[slice.shard]
        let taken = (slice.upperBound ?? count) - slice.lowerBound
        let share = count > 0 ? Double(taken) / Double(count) : 0
        slices.append(Int64(Double(max(0, shardBytes[slice.shard])) * share))
        shards += 1
        samples += taken
        return true
      }
      bytes += slices.reduce(0, +)
      openBytes += Self.openBytes(slices, parameters)
    }
    let length = min(samples, order.length ?? samples)
    rank = Plan.Rank(rank: order.rank, shards: shards, samples: length, bytes: bytes)
  }

  /// Of a lane that is mixed its largest window; of one that goes straight on what a request brings,
  /// and what is read meanwhile.
  private static func openBytes(_ slices: [Int64], _ parameters: OrderParameters) -> Int64 {
    guard parameters.shuffle == .full else {
      return min(slices.reduce(0, +), 2 * Plan.requestBytes)
    }
    var largest: Int64 = 0
    for start in stride(from: 0, to: slices.count, by: parameters.shuffleWindow) {
      let end = min(slices.count, start + parameters.shuffleWindow)
      largest = max(largest, slices[start..<end].reduce(0, +))
    }
    return largest
  }
}
