import SampleOrder
import Testing

@Suite struct EpochOrderTests {
  typealias Sample = NaiveOrder.Sample

  /// Everything that a rank gives, one position after the other.
  static func samples(of rank: RankOrder, from start: Int = 0) throws -> [Sample] {
    var samples: [Sample] = []
    for position in start... {
      switch rank.place(at: position) {
      case .sample(let shard, let number):
        samples.append(Sample(shard: shard, number: number))
      case .unknown(let shard, let number):
        Issue.record("position \(position) waits for sample \(number) of shard \(shard)")
        return samples
      case .end:
        return samples
      }
    }
    return samples
  }

  static func all(of counts: [Int]) -> [Sample] {
    counts.enumerated().flatMap { shard, count in
      (0..<count).map { Sample(shard: shard, number: $0) }
    }
  }

  @Test("the arithmetic agrees with lists, and each sample comes once over all ranks")
  func agreesWithLists() throws {
    for seed in Effort.seeds(150, long: 5_000) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator)
      let order = try EpochOrder(random.parameters, epoch: random.epoch, shape: random.shape)
      let naive = NaiveOrder(random)
      var everything: [Sample] = []
      for rank in 0..<random.parameters.worldSize {
        let view = order.rank(rank)
        let samples = try Self.samples(of: view)
        #expect(
          samples == naive.rank(rank, of: random.parameters.worldSize),
          "seed \(seed), rank \(rank): \(random)"
        )
        #expect(view.length == samples.count)
        everything += samples
      }
      #expect(everything.sorted() == Self.all(of: random.counts), "seed \(seed): \(random)")
    }
  }

  @Test("a limit cuts each rank off and changes nothing before it")
  func limits() throws {
    for seed in Effort.seeds(40, long: 500) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator)
      var order = try EpochOrder(random.parameters, epoch: random.epoch, shape: random.shape)
      let whole = try (0..<random.parameters.worldSize).map { try Self.samples(of: order.rank($0)) }
      order.maxRankSamples = 3
      for (rank, samples) in whole.enumerated() {
        let view = order.rank(rank)
        #expect(try Self.samples(of: view) == Array(samples.prefix(3)), "seed \(seed): \(random)")
        #expect(view.length == min(3, samples.count))
      }
    }
  }

  @Test("with samples the ranks share one global order, and their lengths differ by one at most")
  func globalOrder() throws {
    for seed in Effort.seeds(60, long: 1_000) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator)
      let old = random.parameters
      let lanes = 48
      var orders: [[Sample]] = []
      for worldSize in [1, 2, 3, 4, 6, 8, 12, 16, 24, 48] {
        let parameters = try OrderParameters(
          shuffle: old.shuffle,
          seed: old.seed,
          worldSize: worldSize,
          lanes: lanes,
          shuffleWindow: old.shuffleWindow,
          partition: .samples
        )
        let order = try EpochOrder(parameters, epoch: 1, shape: random.shape)
        let ranks = try (0..<worldSize).map { try Self.samples(of: order.rank($0)) }
        let lengths = ranks.map(\.count)
        #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
        orders.append(NaiveOrder.rounds(ranks))
      }
      #expect(Set(orders).count == 1, "seed \(seed): \(random)")
    }
  }

  @Test("each epoch and each seed has an order of its own")
  func epochsDiffer() throws {
    let shape = try DatasetShape(sampleCounts: [Int](repeating: 30, count: 20))
    for shuffle in [OrderParameters.Shuffle.shards, .full] {
      var seen: Set<[Sample]> = []
      for seed in 0..<10 as Range<UInt64> {
        for epoch in 0..<10 {
          let parameters = try OrderParameters(shuffle: shuffle, seed: seed, partition: .samples)
          let order = try EpochOrder(parameters, epoch: epoch, shape: shape)
          seen.insert(try Self.samples(of: order.rank(0)))
        }
      }
      #expect(seen.count == 100)
    }
  }

  @Test("equalize makes all ranks equally long: drop leaves the tail out, repeat begins again")
  func equalize() throws {
    for seed in Effort.seeds(100, long: 2_000) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator)
      let worldSize = random.parameters.worldSize
      let naive = NaiveOrder(random)
      let ranks = (0..<worldSize).map { naive.rank($0, of: worldSize) }
      let total = random.counts.reduce(0, +)
      for equalize in OrderParameters.Equalize.allCases {
        let parameters = try random.with(equalize)
        var expected = ranks
        switch (parameters.partition, equalize) {
        case (.samples, _):
          let global = NaiveOrder.rounds(naive.lanes)
          let length = equalize == .drop ? total / worldSize : (total + worldSize - 1) / worldSize
          expected = (0..<worldSize).map { rank in
            (0..<length).map { global[($0 * worldSize + rank) % global.count] }
          }
        case (.shards, .drop):
          let length = ranks.map(\.count).min() ?? 0
          expected = ranks.map { Array($0.prefix(length)) }
        case (.shards, .repeat):
          let length = ranks.map(\.count).max() ?? 0
          if length > 0, let empty = ranks.firstIndex(of: []) {
            #expect(throws: OrderError.nothingToRepeat(rank: empty)) {
              try EpochOrder(parameters, epoch: random.epoch, shape: random.shape)
            }
            continue
          }
          expected = ranks.map { own in (0..<length).map { own[$0 % own.count] } }
        }
        let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape)
        let found = try (0..<worldSize).map { try Self.samples(of: order.rank($0)) }
        #expect(found == expected, "seed \(seed): \(random), \(equalize)")
        #expect(Set(found.map(\.count)).count <= 1)
      }
    }
  }

  @Test("partition samples and equalize ask for the counts they lack, all at once")
  func wantsCounts() throws {
    var shape = try DatasetShape(shardCount: 4)
    try shape.set(.exactly(3), ofShard: 1)
    try shape.set(.atLeast(3), ofShard: 2)
    #expect(throws: OrderError.countsWanted(shards: [0, 2, 3])) {
      try EpochOrder(OrderParameters(partition: .samples), epoch: 0, shape: shape)
    }
    #expect(throws: OrderError.countsWanted(shards: [0, 2, 3])) {
      try EpochOrder(OrderParameters(worldSize: 2, equalize: .drop), epoch: 0, shape: shape)
    }
  }

  @Test("options out of range are refused with the value and what is allowed")
  func badOptions() throws {
    #expect(
      throws: OrderError.outOfRange(
        what: "world size",
        value: 0,
        allowed: OrderParameters.allowedWorldSizes
      )
    ) { try OrderParameters(worldSize: 0) }
    #expect(throws: OrderError.self) { try OrderParameters(lanes: 0) }
    #expect(throws: OrderError.self) { try OrderParameters(lanes: .max) }
    #expect(throws: OrderError.self) { try OrderParameters(shuffleWindow: -1) }
    #expect(throws: OrderError.self) { try DatasetShape(shardCount: -1) }
    #expect(throws: OrderError.self) { try DatasetShape(sampleCounts: [.max]) }
    let shape = try DatasetShape(shardCount: 1)
    #expect(throws: OrderError.self) { try EpochOrder(OrderParameters(), epoch: -1, shape: shape) }
    let full = try DatasetShape(sampleCounts: [Int](repeating: 1 << 40, count: 65))
    #expect(throws: OrderError.tooManySamples(max: DatasetShape.maxSamples)) {
      try EpochOrder(OrderParameters(partition: .samples), epoch: 0, shape: full)
    }
  }

  @Test("lanes are rounded up to a multiple of the world size and have defaults")
  func lanes() throws {
    #expect(try OrderParameters(worldSize: 4).lanes == 4)
    #expect(try OrderParameters(shuffle: .shards, worldSize: 4).lanes == 32)
    #expect(try OrderParameters(shuffle: .full, worldSize: 6, lanes: 32).lanes == 36)
    #expect(try OrderParameters(worldSize: 4, lanes: 1).lanes == 4)
  }
}
