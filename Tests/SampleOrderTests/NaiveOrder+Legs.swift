import SampleOrder

/// An epoch that goes through several world sizes, kept as lists and a set.
struct NaiveEpoch {
  let random: RandomShape
  let fresh: NaiveOrder
  var lanes: [[NaiveOrder.Sample]]
  var consumed: Set<NaiveOrder.Sample> = []

  /// With partition `shards`: what is dealt to each lane.
  var shards: [[Int]]

  /// Shards that left the epoch, by being used up or by lying in a lane that is over.
  var gone: Set<Int> = []

  init(_ random: RandomShape) {
    self.random = random
    let fresh = NaiveOrder(random)
    self.fresh = fresh
    lanes = fresh.lanes
    let laneCount = random.parameters.lanes
    shards = (0..<laneCount).map { lane in
      stride(from: lane, to: fresh.list.count, by: laneCount).map {
        fresh.list[$0]
      }
    }
  }

  /// Notes that a rank went on to the next epoch: nothing of its lanes is left, not even empty shards.
  mutating func close(_ rank: Int, of worldSize: Int) {
    guard random.parameters.partition == .shards else { return }
    for lane in stride(from: rank, to: lanes.count, by: worldSize) {
      gone.formUnion(shards[lane])
    }
  }

  func positions(ofRank rank: Int, of worldSize: Int) -> [NaiveOrder.Sample] {
    NaiveOrder.rounds(stride(from: rank, to: lanes.count, by: worldSize).map { lanes[$0] })
  }

  /// The order in which a shard gives its samples once it was dealt again.
  private func own(_ shard: Int) -> [NaiveOrder.Sample] {
    let parameters = random.parameters
    let count = random.counts[shard]
    var numbers = Array(0..<count)
    if parameters.shuffle == .full {
      let place = fresh.list.firstIndex(of: shard) ?? 0
      numbers = NaiveRandom.window(
        count,
        seed: parameters.seed,
        epoch: random.epoch,
        lane: place % parameters.lanes,
        window: place / parameters.lanes / parameters.shuffleWindow
      )
    }
    return numbers.map { NaiveOrder.Sample(shard: shard, number: $0) }
  }

  mutating func dealAgain(laneCount: Int) {
    switch random.parameters.partition {
    case .samples:
      var left = Array(lanes.joined().filter { !consumed.contains($0) })[...]
      let (share, longer) = (left.count / laneCount, left.count % laneCount)
      lanes = (0..<laneCount).map { lane in
        let size = share + (lane < longer ? 1 : 0)
        defer { left = left.dropFirst(size) }
        return Array(left.prefix(size))
      }
    case .shards:
      let begun = Set(consumed.map(\.shard))
      lanes = Array(repeating: [], count: laneCount)
      shards = Array(repeating: [], count: laneCount)
      var place = 0
      for shard in fresh.list {
        let left = own(shard).filter { !consumed.contains($0) }
        if left.isEmpty, begun.contains(shard) { gone.insert(shard) }
        if gone.contains(shard) { continue }
        lanes[place % laneCount] += left
        shards[place % laneCount].append(shard)
        place += 1
      }
    }
  }
}
