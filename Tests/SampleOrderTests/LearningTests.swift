import SampleOrder
import Testing

@Suite struct LearningTests {
  typealias Sample = NaiveOrder.Sample

  @Test("counts learned in any order never change an answer, and in the end all is answered")
  func answersStay() throws {
    for seed in Effort.seeds(120, long: 3_000) {
      var generator = TestGenerator(seed: seed)
      var random = try RandomShape(using: &generator, maxSamples: 400)
      random.parameters = try OrderParameters(
        shuffle: random.parameters.shuffle,
        seed: random.parameters.seed,
        worldSize: random.parameters.worldSize,
        lanes: random.parameters.lanes,
        shuffleWindow: random.parameters.shuffleWindow,
        partition: .shards
      )
      let counts = random.counts
      var known = counts.map { _ in SampleCount.unknown }
      var shape = try DatasetShape(shardCount: counts.count)
      for shard in counts.indices where generator.once(in: 3) {
        known[shard] = .exactly(counts[shard])
        try shape.set(known[shard], ofShard: shard)
      }
      let order = try EpochOrder(random.parameters, epoch: random.epoch, shape: shape)
      let rank = Int.random(in: 0..<random.parameters.worldSize, using: &generator)
      let expected = NaiveOrder(random).rank(rank, of: random.parameters.worldSize)
      var view = order.rank(rank)
      while true {
        let open = counts.indices.filter { !known[$0].isExact }
        try check(view, expected: expected, known: known, "seed \(seed), rank \(rank): \(random)")
        guard let shard = open.randomElement(using: &generator) else { break }
        let bound = Int.random(in: known[shard].lowerBound...counts[shard], using: &generator)
        let isExact = generator.once(in: 2)
        known[shard] = isExact ? .exactly(counts[shard]) : .atLeast(bound)
        view.learn(sampleCount: known[shard].lowerBound, isExact: isExact, ofShard: shard)
      }
      #expect(view.length == expected.count)
    }
  }

  /// Every answer must be the right one, and every question about something not known, and earliest.
  private func check(
    _ view: RankOrder,
    expected: [Sample],
    known: [SampleCount],
    _ comment: String
  ) throws {
    let positions =
      known.count > 40
      ? stride(from: 0, through: expected.count, by: 7)
      : stride(
        from: 0,
        through: expected.count,
        by: 1
      )
    for position in positions {
      switch view.place(at: position) {
      case .sample(let shard, let number):
        try #require(position < expected.count, "\(comment)")
        try #require(expected[position] == Sample(shard: shard, number: number), "\(comment)")
      case .unknown(let shard, let number):
        try #require(!known[shard].isExact, "\(comment)")
        try #require(known[shard].lowerBound <= number, "\(comment)")
      case .end:
        try #require(position >= expected.count, "\(comment)")
      }
    }
  }

  @Test("with one lane a rank, nothing beyond the present shard need be known")
  func firstSampleAtOnce() throws {
    let shape = try DatasetShape(shardCount: 6)
    let order = try EpochOrder(OrderParameters(worldSize: 2), epoch: 0, shape: shape)
    var view = order.rank(1)
    #expect(view.place(at: 0) == .unknown(shard: 1, number: 0))
    view.learn(sampleCount: 3, isExact: false, ofShard: 1)
    #expect(view.place(at: 2) == .sample(shard: 1, number: 2))
    #expect(view.place(at: 3) == .unknown(shard: 1, number: 3))
    #expect(view.length == nil)
    view.learn(sampleCount: 3, isExact: true, ofShard: 1)
    #expect(view.place(at: 3) == .unknown(shard: 3, number: 0))
  }

  @Test("a lane whose later shards are counted takes its turns before its first shard is")
  func laterCountsHelp() throws {
    var shape = try DatasetShape(shardCount: 4)
    try shape.set(.exactly(5), ofShard: 0)
    try shape.set(.exactly(5), ofShard: 2)
    try shape.set(.exactly(5), ofShard: 3)
    let order = try EpochOrder(OrderParameters(lanes: 2), epoch: 0, shape: shape)
    let view = order.rank(0)
    #expect(view.place(at: 1) == .unknown(shard: 1, number: 0))
    #expect(view.place(at: 4) == .sample(shard: 0, number: 2))
    #expect(view.place(at: 10) == .sample(shard: 2, number: 0))
    #expect(view.place(at: 12) == .unknown(shard: 1, number: 0), "does lane 1 go on?")
  }

  @Test("a permuted window wants the exact counts of all its shards")
  func windowsWantExactCounts() throws {
    let parameters = try OrderParameters(shuffle: .full, lanes: 1, shuffleWindow: 2)
    let order = try EpochOrder(parameters, epoch: 0, shape: DatasetShape(shardCount: 4))
    var view = order.rank(0)
    guard case .unknown(let first, Place.exactCount) = view.place(at: 0) else {
      Issue.record("\(view.place(at: 0))")
      return
    }
    view.learn(sampleCount: 9, isExact: false, ofShard: first)
    #expect(view.place(at: 0) == .unknown(shard: first, number: Place.exactCount))
    view.learn(sampleCount: 9, isExact: true, ofShard: first)
    guard case .unknown(let second, Place.exactCount) = view.place(at: 0) else {
      Issue.record("\(view.place(at: 0))")
      return
    }
    view.learn(sampleCount: 9, isExact: true, ofShard: second)
    for position in 0..<18 {
      guard case .sample(let shard, _) = view.place(at: position) else {
        Issue.record("position \(position)")
        return
      }
      #expect([first, second].contains(shard))
    }
  }

  @Test("a count that contradicts what is known, or concerns another rank, changes nothing")
  func contradictions() throws {
    let order = try EpochOrder(
      OrderParameters(worldSize: 2),
      epoch: 0,
      shape: DatasetShape(shardCount: 4)
    )
    var view = order.rank(0)
    let lessons = [
      (4, false, 0), (3, true, 0), (4, true, 0), (5, true, 0), (5, true, 1), (5, true, 99),
      (.max, true, 2), (-1, false, 2),
    ]
    let isNew = lessons.map { count, isExact, shard in
      view.learn(sampleCount: count, isExact: isExact, ofShard: shard)
    }
    #expect(isNew == [true, false, true, false, false, false, false, false])
    #expect(view.place(at: 3) == .sample(shard: 0, number: 3))
    #expect(view.place(at: 4) == .unknown(shard: 2, number: 0))
  }
}
