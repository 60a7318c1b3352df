import SampleOrder
import Testing

@Suite struct InheritedTests {
  @Test("a rank of which all that follows is inherited has nothing left")
  func nothingLeft() throws {
    let counts = [5, 7, 3, 0, 6, 1, 4]
    let shape = try DatasetShape(sampleCounts: counts)
    let parameters = try OrderParameters(
      shuffle: .full,
      seed: 21,
      worldSize: 2,
      lanes: 6,
      partition: .shards
    )
    // Rank 0 has left the first epoch, rank 1 has read two samples of it.
    var leg = Leg(parameters, epoch: 0)
    leg.ranks[0] = Progress(epoch: 1, consumed: Consumed(below: 2))
    var consumed = Consumed(below: 1)
    consumed.insert(4)
    leg.ranks[1] = Progress(epoch: 0, consumed: consumed)
    var cursor = Cursor(shuffle: .full, seed: 21, lanesAsked: 6)
    cursor.splits["train"] = SplitCursor(fingerprint: "", partition: .shards, present: leg)
    try cursor.resume(atWorldSize: 3)
    let split = try #require(cursor.splits["train"])
    let order = try cursor.order(of: split, epoch: 0, shape: shape)
    var left: Set<Placed> = []
    for number in 0..<3 {
      let rank = order.rank(number)
      var position = rank.firstLeft(from: 0, .none)
      while case .sample(let shard, let sample) = rank.place(at: position) {
        #expect(left.insert(Placed(shard: shard, number: sample)).inserted)
        position = rank.firstLeft(from: position + 1, .none)
      }
    }
    // Rank 1 had two lanes with samples, the second and the fourth shard in some order.
    let old = try EpochOrder(parameters, epoch: 0, shape: shape).rank(1)
    var expected: Set<Placed> = []
    for position in 0..<(old.length ?? 0) where !consumed.contains(position) {
      guard case .sample(let shard, let sample) = old.place(at: position) else { continue }
      expected.insert(Placed(shard: shard, number: sample))
    }
    #expect(left == expected)
  }

  @Test(
    "only what fills a rank up to the others' length is filled up",
    arguments: [
      OrderParameters.Partition.samples, .shards,
    ]
  )
  func filledUp(partition: OrderParameters.Partition) throws {
    let shape = try DatasetShape(sampleCounts: [5, 3, 6])
    let parameters = try OrderParameters(worldSize: 3, partition: partition, equalize: .repeat)
    let order = try EpochOrder(parameters, epoch: 0, shape: shape)
    var seen: Set<Placed> = []
    var filled = 0
    for number in 0..<3 {
      let rank = order.rank(number)
      for position in 0..<(try #require(rank.length)) {
        guard case .sample(let shard, let sample) = rank.place(at: position) else { continue }
        if rank.isFilledUp(position) {
          filled += 1
        } else {
          #expect(seen.insert(Placed(shard: shard, number: sample)).inserted)
        }
      }
    }
    #expect(seen.count == 14)
    #expect(filled == (partition == .samples ? 1 : 4))
  }

  private struct Placed: Hashable {
    let shard: Int
    let number: Int
  }
}
