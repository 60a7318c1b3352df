/// The order of one epoch, shared by all its ranks: which shards and samples which lane gives.
///
/// Arithmetic over shard counts; a few bytes a shard and no list of the samples.
package struct EpochOrder: Sendable {
  package static let allowedEpochs = 0...(1 << 40)

  package let parameters: OrderParameters
  package let epoch: Int

  let dealing: Dealing

  /// The length that every rank is cut or filled up to, where all are made equal.
  let equalLength: Int?

  /// Each rank ends after so many samples, for a first try of what comes after: `--limit`.
  package var maxRankSamples = Int.max

  /// What earlier legs consumed of the lanes, where these stayed.
  let taken: LaneTaken?

  /// By lane, where something was taken: whether nothing is left of it.
  let overLanes: [Bool]

  enum Dealing: Sendable {
    case samples(CutDealing)
    case shards(ShardDealing)
  }

  /// Works out a fresh epoch.
  ///
  /// - Parameters:
  ///   - parameters: What defines the order.
  ///   - epoch: From 0.
  ///   - shape: The split's shards. With partition `samples`, and where ranks are made equal, every
  ///     count must be exact.
  /// - Throws: `OrderError`; `.countsWanted` names all shards that are not counted exactly and must
  ///   be.
  /// - Complexity: O(shards + lanes · log shards).
  package init(
    _ parameters: OrderParameters,
    epoch: Int,
    shape: DatasetShape
  ) throws(OrderError) {
    try OrderParameters.check(epoch, Self.allowedEpochs, "epoch")
    switch parameters.partition {
    case .samples:
      let dealing = try CutDealing(parameters, epoch: epoch, shape: shape)
      try self.init(parameters, epoch: epoch, dealing: .samples(dealing), taken: nil)
    case .shards:
      let dealing = ShardDealing(parameters, epoch: epoch, shape: shape)
      try self.init(parameters, epoch: epoch, dealing: .shards(dealing), taken: nil)
    }
  }

  init(
    _ parameters: OrderParameters,
    epoch: Int,
    dealing: Dealing,
    taken: LaneTaken?
  ) throws(OrderError) {
    self.parameters = parameters
    self.epoch = epoch
    self.dealing = dealing
    self.taken = taken
    overLanes = taken.map { Self.overLanes($0, dealing) } ?? []
    equalLength = try Self.equalLength(parameters, dealing)
  }

  private static func equalLength(
    _ parameters: OrderParameters,
    _ dealing: Dealing
  ) throws(OrderError) -> Int? {
    guard let equalize = parameters.equalize else { return nil }
    switch (dealing, equalize) {
    case (.samples(let cut), .drop):
      return cut.lanes.count / parameters.worldSize
    case (.samples(let cut), .repeat):
      return (cut.lanes.count + parameters.worldSize - 1) / parameters.worldSize
    case (.shards(let shards), _):
      let lengths = try lengths(shards, worldSize: parameters.worldSize)
      let length = (equalize == .drop ? lengths.min() : lengths.max()) ?? 0
      if equalize == .repeat, length > 0, let rank = lengths.firstIndex(of: 0) {
        throw .nothingToRepeat(rank: rank)
      }
      return length
    }
  }

  /// One rank's view.
  ///
  /// Its number must lie within `0..<parameters.worldSize`.
  ///
  /// - Complexity: O(shards of the rank).
  package func rank(_ number: Int) -> RankOrder {
    precondition(
      (0..<parameters.worldSize).contains(number),
      "rank \(number) of \(parameters.worldSize)"
    )
    return RankOrder(self, rank: number, equalLength: equalLength)
  }

  /// The shards as the epoch permutes them.
  static func shardList(_ parameters: OrderParameters, epoch: Int, count: Int) -> [Int32] {
    guard parameters.shuffle != .none else { return (0..<Int32(count)).map { $0 } }
    let generator = KeyedGenerator(.shardList, seed: parameters.seed, epoch: epoch)
    return Shuffle.list(count: count, by: generator)
  }

  /// How many samples each rank has, where shards are dealt.
  private static func lengths(
    _ dealing: ShardDealing,
    worldSize: Int
  ) throws(OrderError) -> [Int] {
    let wanted = dealing.shards.map { Int($0) }.filter { !dealing.left(ofShard: $0).isExact }
    guard wanted.isEmpty else { throw .countsWanted(shards: wanted.sorted()) }
    var lengths = [Int](repeating: 0, count: worldSize)
    for (place, shard) in dealing.shards.enumerated() {
      lengths[place % dealing.laneCount % worldSize] += dealing.left(ofShard: Int(shard)).lowerBound
    }
    return lengths
  }
}
