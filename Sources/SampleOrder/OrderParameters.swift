/// All that defines an order, the dataset and the epoch apart.
///
/// Two mounts with equal parameters give equal orders. The values are checked once, here; whoever
/// holds parameters need not check them again.
package struct OrderParameters: Hashable, Sendable {
  /// How far samples stray from their natural order.
  package enum Shuffle: String, CaseIterable, Sendable {
    case none
    case shards
    case full
  }

  /// What is dealt to the lanes: single samples or whole shards.
  package enum Partition: String, CaseIterable, Sendable {
    case samples
    case shards
  }

  /// How ranks are brought to one length.
  package enum Equalize: String, CaseIterable, Sendable {
    case drop
    case `repeat`
  }

  package static let allowedWorldSizes = 1...65_536
  package static let allowedLanes = 1...1_048_576
  package static let allowedShuffleWindows = 1...1_048_576

  /// So many lanes a rank has where nobody says otherwise and samples are shuffled.
  package static let defaultLanesPerRank = 8

  package let shuffle: Shuffle
  package let seed: UInt64
  package let worldSize: Int

  /// A multiple of the world size.
  package let lanes: Int

  package let shuffleWindow: Int
  package let partition: Partition
  package let equalize: Equalize?

  /// Checks the values and resolves the number of lanes.
  ///
  /// - Parameters:
  ///   - shuffle: What is permuted.
  ///   - seed: Makes the permutations repeatable.
  ///   - worldSize: The number of ranks.
  ///   - lanes: As asked for, rounded up to a multiple of the world size; nil for the default.
  ///   - shuffleWindow: So many shard slices of a lane are permuted together by `full`.
  ///   - partition: What is dealt.
  ///   - equalize: How the ranks are brought to one length, if at all.
  /// - Throws: `OrderError.outOfRange`.
  package init(
    shuffle: Shuffle = .none,
    seed: UInt64 = 0,
    worldSize: Int = 1,
    lanes: Int? = nil,
    shuffleWindow: Int = 1,
    partition: Partition = .shards,
    equalize: Equalize? = nil
  ) throws(OrderError) {
    try Self.check(worldSize, Self.allowedWorldSizes, "world size")
    try Self.check(shuffleWindow, Self.allowedShuffleWindows, "shuffle window")
    if let lanes {
      try Self.check(lanes, Self.allowedLanes, "number of lanes")
    }
    self.shuffle = shuffle
    self.seed = seed
    self.worldSize = worldSize
    self.lanes = Self.lanes(asked: lanes, shuffle: shuffle, worldSize: worldSize)
    self.shuffleWindow = shuffleWindow
    self.partition = partition
    self.equalize = equalize
  }

  /// The number of lanes that a fresh order has.
  ///
  /// - Parameters:
  ///   - asked: What `--lanes` says, within `allowedLanes`; nil for the default.
  ///   - shuffle: With `none` the default is one lane a rank, so that reading is sequential.
  ///   - worldSize: Within `allowedWorldSizes`.
  /// - Returns: A multiple of the world size.
  package static func lanes(asked: Int?, shuffle: Shuffle, worldSize: Int) -> Int {
    guard let asked else {
      return shuffle == .none ? worldSize : worldSize * defaultLanesPerRank
    }
    return (asked + worldSize - 1) / worldSize * worldSize
  }

  static func check(
    _ value: Int,
    _ allowed: ClosedRange<Int>,
    _ what: String
  ) throws(OrderError) {
    guard allowed.contains(value) else {
      throw .outOfRange(what: what, value: value, allowed: allowed)
    }
  }
}
