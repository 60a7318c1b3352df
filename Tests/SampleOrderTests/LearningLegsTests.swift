import SampleOrder
import Testing

/// Elastic resume with partition `shards` where counts are missing.
@Suite struct LearningLegsTests {
  @Test("asks for the counts it lacks until the order is made, and makes the same as with all")
  func asksUntilItKnows() throws {
    for seed in Effort.seeds(60, long: 1_000) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator, maxSamples: 800)
      let old = random.parameters
      let parameters = try OrderParameters(
        shuffle: old.shuffle,
        seed: old.seed,
        worldSize: old.worldSize,
        lanes: old.lanes,
        shuffleWindow: old.shuffleWindow
      )
      let whole = try EpochOrder(parameters, epoch: 0, shape: random.shape)
      let ranks = try (0..<parameters.worldSize).map { rank in
        let length = try #require(whole.rank(rank).length)
        if generator.once(in: 9) { return Progress(epoch: 1) }
        let below = Int.random(in: 0...length, using: &generator)
        return Progress(consumed: Consumed(below: below))
      }
      let leg = try Leg(worldSize: parameters.worldSize, lanes: parameters.lanes, ranks: ranks)
      let size = [1, 2, 3, 4, 5].randomElement(using: &generator) ?? 1
      let next = try parameters.resumed(atWorldSize: size, lanesAsked: nil)
      var shape = try DatasetShape(shardCount: random.counts.count)
      let made = try make(next, &shape, leg, counts: random.counts)
      let informed = try EpochOrder(next, epoch: 0, shape: random.shape, legs: [leg])
      for rank in 0..<size {
        var view = made.rank(rank)
        for (shard, count) in random.counts.enumerated() {
          view.learn(sampleCount: count, isExact: true, ofShard: shard)
        }
        let samples = try EpochOrderTests.samples(of: view)
        let expected = informed.rank(rank)
        #expect(try samples == EpochOrderTests.samples(of: expected), "seed \(seed): \(random)")
        for position in samples.indices {
          #expect(view.isInherited(position) == expected.isInherited(position))
        }
      }
    }
  }

  /// Learns what the order asks for until it is made.
  private func make(
    _ parameters: OrderParameters,
    _ shape: inout DatasetShape,
    _ leg: Leg,
    counts: [Int]
  ) throws -> EpochOrder {
    for _ in 0...counts.count {
      let wanted: [Int]
      do {
        return try EpochOrder(parameters, epoch: 0, shape: shape, legs: [leg])
      } catch {
        guard case .countsWanted(let shards) = error else { throw error }
        wanted = shards
      }
      #expect(!wanted.isEmpty)
      for shard in wanted {
        #expect(!shape[shard].isExact, "asked twice for \(shard)")
        try shape.set(.exactly(counts[shard]), ofShard: shard)
      }
    }
    throw OrderError.countsWanted(shards: shape.shardsNotCounted())
  }

  @Test("equal lengths hold after any change of world size")
  func equalLengths() throws {
    for seed in Effort.seeds(80, long: 1_000) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator, maxSamples: 800)
      for equalize in OrderParameters.Equalize.allCases {
        let parameters = try random.with(equalize)
        let next = try parameters.resumed(atWorldSize: 7, lanesAsked: nil)
        do {
          let fresh = try EpochOrder(parameters, epoch: 0, shape: random.shape)
          let length = try #require(fresh.rank(0).length)
          let read = Int.random(in: 0...length, using: &generator)
          let leg = try Leg(
            worldSize: parameters.worldSize,
            lanes: parameters.lanes,
            ranks: [Progress](
              repeating: Progress(consumed: Consumed(below: read)),
              count: parameters.worldSize
            )
          )
          let order = try EpochOrder(next, epoch: 0, shape: random.shape, legs: [leg])
          let lengths = try (0..<7).map { rank in
            let view = order.rank(rank)
            let samples = try EpochOrderTests.samples(of: view)
            #expect(view.length == samples.count)
            return samples.count
          }
          #expect(Set(lengths).count == 1, "seed \(seed): \(random)")
          if read == length, length > 0 {
            var bookmark = RankBookmark(in: order.rank(0))
            #expect(bookmark.isConsumed(in: order.rank(0)), "seed \(seed), \(equalize): \(random)")
            bookmark.turn(to: try EpochOrder(next, epoch: 1, shape: random.shape).rank(0))
          }
        } catch OrderError.nothingToRepeat {
          continue
        }
      }
    }
  }
}
