/// An epoch dealt by shards: lane c takes the shards c, c + C, c + 2C … of the permuted list.
struct ShardDealing: Sendable {
  /// The permuted list, without the shards of which earlier legs left nothing.
  let shards: [Int32]

  /// By shard: its place in `shards`, or -1 if nothing of it is left.
  let places: [Int32]

  let laneCount: Int

  /// The windows' generator, where samples are permuted.
  let windows: KeyedGenerator?

  let shuffleWindow: Int

  /// What was known of the shards when the order was made.
  let shape: DatasetShape

  /// How the fresh epoch was dealt, where this one was dealt again.
  let fresh: FreshDealing?

  /// What of the fresh epoch is needed after it was dealt again.
  struct FreshDealing: Sendable {
    /// By shard: its place in the permuted list.
    let places: [Int32]

    let laneCount: Int

    /// By shard, for those begun: what is left, in the shard's own order.
    let kept: [Int: KeptRanges]
  }

  init(_ parameters: OrderParameters, epoch: Int, shape: DatasetShape) {
    self.init(
      shards: EpochOrder.shardList(parameters, epoch: epoch, count: shape.shardCount),
      laneCount: parameters.lanes,
      windows: parameters.shuffle == .full
        ? KeyedGenerator(.window, seed: parameters.seed, epoch: epoch) : nil,
      shuffleWindow: parameters.shuffleWindow,
      shape: shape,
      fresh: nil
    )
  }

  init(
    shards: [Int32],
    laneCount: Int,
    windows: KeyedGenerator?,
    shuffleWindow: Int,
    shape: DatasetShape,
    fresh: FreshDealing?
  ) {
    self.shards = shards
    places = Self.places(of: shards, shardCount: shape.shardCount)
    self.laneCount = laneCount
    self.windows = windows
    self.shuffleWindow = shuffleWindow
    self.shape = shape
    self.fresh = fresh
  }

  static func places(of shards: [Int32], shardCount: Int) -> [Int32] {
    var places = [Int32](repeating: -1, count: shardCount)
    for (place, shard) in shards.enumerated() {
      places[Int(shard)] = Int32(place)
    }
    return places
  }

  func shardCount(ofLane lane: Int) -> Int {
    lane < shards.count ? (shards.count - lane - 1) / laneCount + 1 : 0
  }

  func shard(_ place: Int, ofLane lane: Int) -> Int { Int(shards[lane + place * laneCount]) }

  /// What a shard that is dealt has left to give.
  func left(ofShard shard: Int) -> PackedCount {
    guard let kept = fresh?.kept[shard] else { return PackedCount(shape[shard]) }
    return PackedCount(.exactly(kept.count))
  }

  func lane(_ lane: Int) -> ShardLane {
    ShardLane(
      counts: (0..<shardCount(ofLane: lane)).map { left(ofShard: shard($0, ofLane: lane)) }
    )
  }

  /// The sample that a lane gives at an offset, as far as the lane's counts tell.
  func place(ofLane lane: Int, _ counts: ShardLane, at offset: Int) -> Place {
    let (place, inShard) = counts.shard(at: offset)
    guard windows != nil else {
      let shard = shard(place, ofLane: lane)
      if inShard >= counts.count(at: place).lowerBound {
        return .unknown(shard: shard, number: freshNumber(inShard, ofShard: shard))
      }
      return .sample(shard: shard, number: freshNumber(inShard, ofShard: shard))
    }
    let first = fresh == nil ? place / shuffleWindow * shuffleWindow : place
    let end = fresh == nil ? min(first + shuffleWindow, counts.shardCount) : place + 1
    guard end <= counts.countedShards else {
      let wanted = shard(counts.countedShards, ofLane: lane)
      return .unknown(shard: wanted, number: Place.exactCount)
    }
    if fresh != nil {
      let shard = shard(place, ofLane: lane)
      let element = freshNumber(inShard, ofShard: shard)
      let kept = fresh?.kept[shard]
      let count = kept == nil ? counts.count(at: place).lowerBound : shape[shard].lowerBound
      let generator = freshGenerator(ofShard: shard)
      return .sample(
        shard: shard,
        number: Shuffle.element(at: element, of: count, by: generator)
      )
    }
    let generator = generator(lane: lane, window: first / shuffleWindow)
    let start = counts.starts[first]
    let count = counts.starts[end] - start
    let element = start + Shuffle.element(at: offset - start, of: count, by: generator)
    let (elementPlace, number) = counts.shard(at: element)
    return .sample(shard: shard(elementPlace, ofLane: lane), number: number)
  }

  func generator(lane: Int, window: Int) -> KeyedGenerator {
    guard let windows else { preconditionFailure("no windows without shuffle full") }
    return windows.narrowed(by: UInt64(lane)).narrowed(by: UInt64(window))
  }

  /// The generator of the window of the fresh epoch that a shard lay in.
  func freshGenerator(ofShard shard: Int) -> KeyedGenerator {
    let place = Int((fresh?.places ?? places)[shard])
    let lanes = fresh?.laneCount ?? laneCount
    return generator(lane: place % lanes, window: place / lanes / shuffleWindow)
  }

  /// The number that an offset into what is left of a shard has in the whole shard's own order.
  private func freshNumber(_ offset: Int, ofShard shard: Int) -> Int {
    guard let kept = fresh?.kept[shard], offset < kept.count else { return offset }
    return kept[offset]
  }

  /// Names the slices of a lane from an offset onwards, until the lane ends or `body` says no.
  func forEachSlice(
    lane: Int,
    _ counts: ShardLane,
    from offset: Int,
    _ body: (ShardSlice) -> Bool
  ) {
    guard counts.shardCount > 0 else { return }
    var (place, inShard) = counts.shard(at: offset)
    if windows != nil, fresh == nil {
      place = place / shuffleWindow * shuffleWindow
      inShard = 0
    }
    while place < counts.shardCount {
      let count = counts.count(at: place)
      let shard = shard(place, ofLane: lane)
      if !count.isExact || inShard < count.lowerBound {
        let whole = fresh?.kept[shard] == nil ? count : PackedCount(shape[shard])
        let slice = ShardSlice(
          shard: shard,
          lowerBound: windows == nil ? freshNumber(0, ofShard: shard) : 0,
          upperBound: whole.isExact ? whole.lowerBound : nil,
          isPermuted: windows != nil,
          next: freshNumber(inShard, ofShard: shard)
        )
        guard body(slice) else { return }
      }
      place += 1
      inShard = 0
    }
  }
}
