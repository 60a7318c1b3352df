extension EpochOrder {
  /// Works out what earlier world sizes left of an epoch.
  ///
  /// Where lanes stay, so do positions: those that are consumed already are inherited. Where they
  /// do not, what remains is dealt again and positions start from 0.
  ///
  /// - Parameters:
  ///   - parameters: As they are now, world size and lanes included.
  ///   - epoch: From 0.
  ///   - shape: The split's shards. With partition `shards`, the counts of shards that were consumed
  ///     from must be known as far as that reaches.
  ///   - legs: The earlier legs, oldest first, the present one not among them.
  /// - Throws: `OrderError`. `.countsWanted` names shards whose counts are wanted exactly; once they
  ///   are learned others may be.
  package init(
    _ parameters: OrderParameters,
    epoch: Int,
    shape: DatasetShape,
    legs: [Leg]
  ) throws(OrderError) {
    guard let begun = legs.firstIndex(where: { $0.touches(epoch: epoch) }) else {
      try self.init(parameters, epoch: epoch, shape: shape)
      return
    }
    let legs = legs[begun...]
    var order = try EpochOrder(
      parameters.with(worldSize: legs[begun].worldSize, lanes: legs[begun].lanes),
      epoch: epoch,
      shape: shape
    )
    for (leg, following) in zip(legs, legs.dropFirst()) {
      let next = try parameters.with(worldSize: following.worldSize, lanes: following.lanes)
      order = try order.followed(by: next, after: leg)
    }
    if let last = legs.last {
      order = try order.followed(by: parameters, after: last)
    }
    self = order
  }

  /// The order at the next world size, from what a leg leaves of this one.
  private func followed(by next: OrderParameters, after leg: Leg) throws(OrderError) -> EpochOrder {
    guard leg.lanes == parameters.lanes, leg.worldSize == parameters.worldSize else {
      throw .badLeg("\(leg.lanes) lanes, where the order has \(parameters.lanes)")
    }
    let taken = try taken(by: leg)
    guard next.lanes != parameters.lanes else {
      return try EpochOrder(next, epoch: epoch, dealing: dealing, taken: taken)
    }
    switch dealing {
    case .samples(let cut):
      var ranges: [Range<Int>] = []
      for lane in 0..<cut.lanes.parts {
        let bounds = cut.lanes.range(of: lane)
        for range in taken[lane] {
          let upper = min(range.upperBound, bounds.count)
          guard range.lowerBound < upper else { continue }
          ranges.append(bounds.lowerBound + range.lowerBound..<bounds.lowerBound + upper)
        }
      }
      let again = CutDealing(cut, without: ranges.merged(), laneCount: next.lanes)
      return try EpochOrder(next, epoch: epoch, dealing: .samples(again), taken: nil)
    case .shards(let shards):
      let again = try ShardDealing(shards, without: taken, laneCount: next.lanes)
      return try EpochOrder(next, epoch: epoch, dealing: .shards(again), taken: nil)
    }
  }

  /// What was consumed of the lanes as they are dealt now, up to the end of a leg.
  private func taken(by leg: Leg) throws(OrderError) -> LaneTaken {
    var taken = taken ?? LaneTaken(laneCount: parameters.lanes)
    var wanted: Set<Int> = []
    for (rank, progress) in leg.ranks.enumerated() {
      let own = lanes(ofRank: rank)
      var consumed = progress.consumed(ofEpoch: epoch)
      guard !consumed.isEmpty else { continue }
      if let equalLength, consumed.next >= equalLength { consumed = .all }
      let rounds = rounds(ofLanes: own)
      if consumed != .all, let reach = consumed.allRanges.last?.upperBound {
        if case .undecided = rounds.turn(at: reach - 1), case .shards(let dealing) = dealing {
          for lane in own {
            let depth = rounds.given(by: lane / leg.worldSize, before: reach)
            wanted.formUnion(dealing.shardsWanted(ofLane: lane, upTo: depth))
          }
          continue
        }
      }
      taken.add(consumed, lanes: own, rounds: rounds)
    }
    guard wanted.isEmpty else { throw .countsWanted(shards: wanted.sorted()) }
    return taken
  }

  /// By lane: whether it was consumed to its end, as far as is known.
  static func overLanes(_ taken: LaneTaken, _ dealing: Dealing) -> [Bool] {
    taken.ranges.indices.map { lane in
      if taken.isWhole(lane) { return true }
      let length =
        switch dealing {
        case .samples(let cut): SampleCount.exactly(cut.lanes.range(of: lane).count)
        case .shards(let dealing): dealing.lane(lane).length
        }
      return length.isExact
        && taken.count(below: length.lowerBound, ofLane: lane) == length.lowerBound
    }
  }

  /// Whether earlier legs left a rank nothing, what it would repeat included.
  func isOver(forRank rank: Int) -> Bool {
    guard taken != nil else { return false }
    let repeats = parameters.equalize == .repeat
    let lanes = repeats ? Array(0..<parameters.lanes) : lanes(ofRank: rank)
    return lanes.allSatisfy { overLanes[$0] }
  }

  private func lanes(ofRank rank: Int) -> [Int] {
    Array(stride(from: rank, to: parameters.lanes, by: parameters.worldSize))
  }

  private func rounds(ofLanes lanes: [Int]) -> Rounds {
    switch dealing {
    case .samples(let cut):
      Rounds(laneLengths: lanes.map { .exactly(cut.lanes.range(of: $0).count) })
    case .shards(let dealing):
      Rounds(laneLengths: lanes.map { dealing.lane($0).length })
    }
  }
}

extension OrderParameters {
  /// The same order at another world size, with lanes that are resolved already.
  package func with(worldSize: Int, lanes: Int) throws(OrderError) -> OrderParameters {
    guard lanes % worldSize == 0 else { throw .badLeg("\(lanes) lanes for \(worldSize) ranks") }
    return try OrderParameters(
      shuffle: shuffle,
      seed: seed,
      worldSize: worldSize,
      lanes: lanes,
      shuffleWindow: shuffleWindow,
      partition: partition,
      equalize: equalize
    )
  }

  /// The same order after a change of world size: lanes stay where they can be shared evenly.
  ///
  /// - Parameters:
  ///   - worldSize: The new one.
  ///   - lanesAsked: What `--lanes` said at the fresh start; nil for the default.
  /// - Returns: Parameters with the new world size.
  /// - Throws: `OrderError.outOfRange`.
  package func resumed(atWorldSize worldSize: Int, lanesAsked: Int?) throws(OrderError) -> Self {
    try Self.check(worldSize, Self.allowedWorldSizes, "world size")
    let lanes =
      lanes % worldSize == 0
      ? lanes : Self.lanes(asked: lanesAsked, shuffle: shuffle, worldSize: worldSize)
    return try with(worldSize: worldSize, lanes: lanes)
  }
}
