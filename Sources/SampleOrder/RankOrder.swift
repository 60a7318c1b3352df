/// One rank's view of an epoch: what stands at which of its positions.
///
/// With partition `shards` it learns sample counts as the mount reads headers. What it has answered
/// once stays true: a count only ever turns `unknown` into an answer.
package struct RankOrder: Sendable {
  package let rank: Int
  package let epoch: Int

  let worldSize: Int

  /// The length that all ranks have, where they are made equal.
  private let equalLength: Int?

  /// Beyond so many nothing is given, whatever there is.
  private let maxSamples: Int

  /// Where samples are dealt.
  private let cut: CutDealing?

  /// Where shards are dealt.
  private var dealt: DealtLanes?

  /// What earlier legs consumed of the lanes, where these stayed.
  let taken: LaneTaken?

  /// Whether earlier legs left this rank nothing at all, not even something to repeat.
  let isOver: Bool

  /// A rank's lanes of whole shards.
  private struct DealtLanes: Sendable {
    let dealing: ShardDealing
    var lanes: [ShardLane]
    var rounds: Rounds

    mutating func learn(_ count: SampleCount, at place: Int, ofLane lane: Int) -> Bool {
      guard lanes[lane].learn(count, at: place) else { return false }
      rounds.update(lanes.map(\.length))
      return true
    }
  }

  init(_ order: EpochOrder, rank: Int, equalLength: Int?) {
    self.rank = rank
    epoch = order.epoch
    worldSize = order.parameters.worldSize
    self.equalLength = equalLength
    maxSamples = order.maxRankSamples
    laneCount = order.parameters.lanes / worldSize
    taken = order.taken
    isOver = order.isOver(forRank: rank)
    switch order.dealing {
    case .samples(let cut):
      self.cut = cut
    case .shards(let dealing):
      cut = nil
      let worldSize = worldSize
      let lanes = (0..<laneCount).map { dealing.lane(rank + $0 * worldSize) }
      let rounds = Rounds(laneLengths: lanes.map(\.length))
      dealt = DealtLanes(dealing: dealing, lanes: lanes, rounds: rounds)
    }
  }

  /// How many lanes the rank owns.
  package let laneCount: Int

  /// What stands at a position.
  ///
  /// Positions count from 0; a negative one is beyond every order.
  ///
  /// - Complexity: O(log shards); with partition `shards` O(lanes of the rank) besides, once one of
  ///   them has ended. No allocation.
  package func place(at position: Int) -> Place {
    guard position >= 0, position < min(equalLength ?? Int.max, maxSamples) else { return .end }
    if let cut {
      // G[n · W + r]: the lanes 0 … C - 1 in turn are one order for all ranks.
      guard position <= cut.lanes.count else { return .end }
      var global = position * worldSize + rank
      if equalLength != nil, global >= cut.lanes.count { global %= max(1, cut.lanes.count) }
      guard global < cut.lanes.count else { return .end }
      let (offset, lane) = global.quotientAndRemainder(dividingBy: cut.lanes.parts)
      return cut.place(of: cut.lanes.start(of: lane) + offset)
    }
    guard let dealt else { return .end }
    var position = position
    if equalLength != nil, let length = dealt.rounds.length { position %= max(1, length) }
    switch dealt.rounds.turn(at: position) {
    case .end:
      return .end
    case .lane(let lane, let offset):
      return dealt.dealing.place(ofLane: rank + lane * worldSize, dealt.lanes[lane], at: offset)
    case .undecided(let lane):
      let place = dealt.lanes[lane].countedShards
      let shard = dealt.dealing.shard(place, ofLane: rank + lane * worldSize)
      // A permuted lane wants the exact count as soon as it has its turn.
      let isPermuted = dealt.dealing.windows != nil
      let number = dealt.lanes[lane].count(at: place).lowerBound
      return .unknown(shard: shard, number: isPermuted ? Place.exactCount : number)
    }
  }

  /// Whether a position only fills the rank up to the others' length, with a sample that stands
  /// elsewhere in the epoch too.
  package func isFilledUp(_ position: Int) -> Bool {
    guard equalLength != nil, position >= 0 else { return false }
    if let cut {
      let (global, isOver) = position.multipliedReportingOverflow(by: worldSize)
      return isOver || global + rank >= cut.lanes.count
    }
    guard let length = dealt?.rounds.length else { return false }
    return position >= length
  }

  /// How many positions the order has, once that is known.
  ///
  /// Those that earlier legs consumed are among them.
  package var length: Int? { wholeLength.map { min($0, maxSamples) } }

  private var wholeLength: Int? {
    if let equalLength { return equalLength }
    if let cut {
      return (cut.lanes.count + worldSize - 1 - rank) / worldSize
    }
    return dealt?.rounds.length
  }

  /// Takes up what became known of a shard.
  ///
  /// Shards of other ranks, and counts that contradict what is known already, change nothing.
  ///
  /// - Parameters:
  ///   - sampleCount: How many samples the shard has, or has at least.
  ///   - isExact: Whether it has no more.
  ///   - shard: By its place in the sorted listing.
  /// - Returns: Whether anything is new.
  /// - Complexity: O(lanes of the rank · log of that).
  @discardableResult
  package mutating func learn(sampleCount: Int, isExact: Bool, ofShard shard: Int) -> Bool {
    guard let dealing = dealt?.dealing, dealing.places.indices.contains(shard) else { return false }
    let place = Int(dealing.places[shard])
    guard place >= 0, DatasetShape.allowedSampleCounts.contains(sampleCount) else { return false }
    let (placeInLane, lane) = place.quotientAndRemainder(dividingBy: dealing.laneCount)
    let (own, owner) = lane.quotientAndRemainder(dividingBy: worldSize)
    guard owner == rank else { return false }
    let count: SampleCount = isExact ? .exactly(sampleCount) : .atLeast(sampleCount)
    return dealt?.learn(count, at: placeInLane, ofLane: own) ?? false
  }

  /// Names what a lane of the rank gives from a position onwards, slice by slice.
  ///
  /// Begins with the slice that the lane is in when the position is reached; where samples are
  /// permuted, with the first slice of that window. Stops when the lane ends or `body` returns false.
  /// Where ranks are filled up by repeating, what is repeated is not named.
  ///
  /// - Parameters:
  ///   - lane: Within `0..<laneCount`.
  ///   - position: Of the rank. Where it cannot be resolved yet, lanes that may go on are taken to.
  ///   - body: Called with each slice that holds or may hold samples.
  package func forEachUpcomingSlice(
    lane: Int,
    from position: Int,
    _ body: (ShardSlice) -> Bool
  ) {
    precondition((0..<laneCount).contains(lane), "lane \(lane) of \(laneCount)")
    guard position < length ?? Int.max else { return }
    let offset = given(by: lane, before: max(0, position))
    if let cut {
      cut.forEachSlice(lane: rank + lane * worldSize, from: offset, body)
    } else if let dealt {
      dealt.dealing.forEachSlice(
        lane: rank + lane * worldSize,
        dealt.lanes[lane],
        from: offset,
        body
      )
    }
  }

  /// Whether samples that follow each other lie apart in their shards.
  package var isPermuted: Bool {
    cut.map { $0.windows != nil } ?? (dealt?.dealing.windows != nil)
  }

  /// Which of the rank's lanes has its turn at a position, repeats apart.
  func turn(at position: Int) -> Rounds.Turn {
    guard let cut else { return dealt?.rounds.turn(at: position) ?? .end }
    let (offset, lane) = position.quotientAndRemainder(dividingBy: laneCount)
    return offset < cut.lanes.range(of: rank + lane * worldSize).count
      ? .lane(lane, offset: offset) : .end
  }

  /// How many samples a lane of the rank has given before a position.
  func given(by lane: Int, before position: Int) -> Int {
    guard let cut else { return dealt?.rounds.given(by: lane, before: position) ?? 0 }
    let (round, place) = position.quotientAndRemainder(dividingBy: laneCount)
    let given = lane < place ? round + 1 : round
    return min(given, cut.lanes.range(of: rank + lane * worldSize).count)
  }
}
