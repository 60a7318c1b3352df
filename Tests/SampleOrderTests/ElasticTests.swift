import SampleOrder
import Testing

@Suite struct ElasticTests {
  typealias Sample = NaiveOrder.Sample

  /// Reads some of a rank, ahead and out of order, as workers do.
  private func read(
    _ samples: [Sample],
    _ view: RankOrder,
    into bookmark: inout RankBookmark,
    _ consumed: inout Set<Sample>,
    using generator: inout TestGenerator
  ) {
    var listed: [Int] = []
    var position = view.firstLeft(from: 0, bookmark.progress.consumed)
    while position < samples.count {
      listed.append(position)
      position = view.firstLeft(from: position + 1, bookmark.progress.consumed)
    }
    let expected = samples.indices.filter { !consumed.contains(samples[$0]) }
    #expect(listed == expected)
    let most =
      generator.once(in: 5) ? listed.count : Int.random(in: 0...listed.count, using: &generator)
    var window: [Int] = []
    for position in listed.prefix(most) {
      window.append(position)
      guard window.count > 4 else { continue }
      let taken = window.remove(at: Int.random(in: 0..<5, using: &generator))
      bookmark.served(taken, in: view)
      consumed.insert(samples[taken])
    }
    if generator.once(in: 2) {
      for taken in window.shuffled(using: &generator) {
        bookmark.served(taken, in: view)
        consumed.insert(samples[taken])
      }
    }
  }

  @Test("each sample once over any chain of world sizes, from unequal and out-of-order progress")
  func chains() throws {
    for seed in Effort.seeds(60, long: 1_500) {
      var generator = TestGenerator(seed: seed)
      let random = try RandomShape(using: &generator, maxSamples: 1_200)
      var naive = NaiveEpoch(random)
      var parameters = random.parameters
      var legs: [Leg] = []
      let comment: Comment = "seed \(seed): \(random)"
      for _ in 0..<Int.random(in: 2...5, using: &generator) {
        let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape, legs: legs)
        var ranks: [Progress] = []
        for rank in 0..<parameters.worldSize {
          let view = order.rank(rank)
          let samples = naive.positions(ofRank: rank, of: parameters.worldSize)
          try #require(try EpochOrderTests.samples(of: view) == samples, comment)
          try #require(view.length == samples.count, comment)
          #expect(Set(samples).isSubset(of: sliced(view)), comment)
          var bookmark = RankBookmark(Progress(epoch: random.epoch), in: view)
          read(samples, view, into: &bookmark, &naive.consumed, using: &generator)
          let isOver = samples.allSatisfy(naive.consumed.contains)
          try #require(bookmark.isConsumed(in: view) == isOver, comment)
          if isOver, generator.once(in: 2) {
            ranks.append(Progress(epoch: random.epoch + 1))
            naive.close(rank, of: parameters.worldSize)
          } else {
            ranks.append(bookmark.progress)
          }
        }
        legs.append(
          try Leg(worldSize: parameters.worldSize, lanes: parameters.lanes, ranks: ranks)
        )
        let worldSize = [1, 2, 3, 4, 5, 8, 12].randomElement(using: &generator) ?? 1
        let next = try parameters.resumed(atWorldSize: worldSize, lanesAsked: nil)
        if next.lanes != parameters.lanes, legs.contains(where: { touches($0, random.epoch) }) {
          naive.dealAgain(laneCount: next.lanes)
        } else if next.lanes != parameters.lanes {
          var fresh = random
          fresh.parameters = next
          let consumed = naive.consumed
          naive = NaiveEpoch(fresh)
          #expect(consumed.isEmpty, comment)
        }
        parameters = next
      }
      let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape, legs: legs)
      for rank in 0..<parameters.worldSize {
        let view = order.rank(rank)
        let samples = try EpochOrderTests.samples(of: view)
        var position = view.firstLeft(from: 0, .none)
        while position < samples.count {
          #expect(naive.consumed.insert(samples[position]).inserted, comment)
          position = view.firstLeft(from: position + 1, .none)
        }
      }
      #expect(naive.consumed.sorted() == EpochOrderTests.all(of: random.counts), comment)
    }
  }

  private func touches(_ leg: Leg, _ epoch: Int) -> Bool {
    leg.ranks.contains { !$0.consumed(ofEpoch: epoch).isEmpty }
  }

  private func sliced(_ view: RankOrder) -> Set<Sample> {
    var samples: Set<Sample> = []
    for lane in 0..<view.laneCount {
      view.forEachUpcomingSlice(lane: lane, from: 0) { slice in
        let upper = slice.upperBound ?? slice.lowerBound
        samples.formUnion(
          (slice.lowerBound..<upper).map { Sample(shard: slice.shard, number: $0) }
        )
        return true
      }
    }
    return samples
  }
}
