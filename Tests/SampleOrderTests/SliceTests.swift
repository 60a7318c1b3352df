import SampleOrder
import Testing

@Suite struct SliceTests {
  @Test("the slices from a position onwards hold just what the lane still gives, in its order")
  func slicesHoldTheRest() throws {
    for seed in Effort.seeds(150, long: 3_000) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator, maxSamples: 1_000)
      let parameters = random.parameters
      let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape)
      let rank = Int.random(in: 0..<parameters.worldSize, using: &generator)
      let view = order.rank(rank)
      let samples = try EpochOrderTests.samples(of: view)
      let position = Int.random(in: 0...samples.count, using: &generator)
      var rest: [NaiveOrder.Sample] = []
      for lane in 0..<view.laneCount {
        view.forEachUpcomingSlice(lane: lane, from: position) { slice in
          #expect(slice.isPermuted == (parameters.shuffle == .full))
          let upper = slice.upperBound ?? 0
          #expect(slice.lowerBound <= slice.next && slice.next < upper, "seed \(seed): \(slice)")
          let lower = slice.isPermuted ? slice.lowerBound : slice.next
          rest += (lower..<upper).map { NaiveOrder.Sample(shard: slice.shard, number: $0) }
          return true
        }
      }
      let wanted = Set(samples[position...])
      #expect(Set(rest).count == rest.count, "seed \(seed): \(random)")
      if parameters.shuffle == .full {
        #expect(wanted.isSubset(of: rest), "seed \(seed): \(random)")
        #expect(Set(rest).isSubset(of: samples))
      } else {
        #expect(wanted == Set(rest), "seed \(seed), position \(position): \(random)")
      }
    }
  }

  @Test("slices stop when told to, and have no end where a count is not known")
  func stops() throws {
    var shape = try DatasetShape(shardCount: 5)
    try shape.set(.exactly(4), ofShard: 0)
    let order = try EpochOrder(OrderParameters(), epoch: 0, shape: shape)
    var slices: [ShardSlice] = []
    order.rank(0).forEachUpcomingSlice(lane: 0, from: 3) { slice in
      slices.append(slice)
      return slices.count < 2
    }
    #expect(slices.map(\.shard) == [0, 1])
    #expect(slices.map(\.upperBound) == [4, nil])
    #expect(slices.map(\.next) == [3, 0])
  }

  @Test("locality: a rank's slices lie in about its share of the shards")
  func locality() throws {
    for partition in OrderParameters.Partition.allCases {
      for shuffle in OrderParameters.Shuffle.allCases {
        let shape = try DatasetShape(sampleCounts: (0..<800).map { 50 + $0 % 7 })
        let parameters = try OrderParameters(
          shuffle: shuffle,
          worldSize: 8,
          shuffleWindow: 2,
          partition: partition
        )
        let order = try EpochOrder(parameters, epoch: 0, shape: shape)
        var visits = 0
        for rank in 0..<8 {
          let shards = try EpochOrderTests.samples(of: order.rank(rank)).map(\.shard)
          visits += Set(shards).count
        }
        // A cut lane shares its first and its last shard with its neighbours, no more.
        #expect(visits <= 800 + parameters.lanes, "\(partition) \(shuffle)")
      }
    }
  }
}
