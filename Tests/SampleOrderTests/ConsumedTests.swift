import SampleOrder
import Testing

@Suite struct ConsumedTests {
  @Test("agrees with a set, whatever the order in which positions come")
  func agreesWithSet() {
    for seed in Effort.seeds(200, long: 5_000) {
      var generator = TestGenerator(seed: seed)
      var consumed = Consumed()
      var set: Set<Int> = []
      let most = Int.random(in: 1...300, using: &generator)
      for _ in 0..<Int.random(in: 0...most, using: &generator) {
        let lower = Int.random(in: 0..<most, using: &generator)
        let upper =
          generator.once(in: 5) ? Int.random(in: lower...most, using: &generator) : lower + 1
        if upper == lower + 1 { consumed.insert(lower) } else { consumed.insert(lower..<upper) }
        set.formUnion(lower..<upper)
      }
      #expect(consumed.count == set.count)
      #expect(consumed.allRanges.flatMap { Array($0) } == set.sorted(), "seed \(seed)")
      var end = consumed.next
      for range in consumed.beyond {
        #expect(range.lowerBound > end && !range.isEmpty)
        end = range.upperBound
      }
      for position in 0...most + 1 {
        #expect(consumed.contains(position) == set.contains(position))
        let left = (position...).first { !set.contains($0) }
        #expect(consumed.firstLeft(from: position) == left)
      }
      var twice = consumed
      twice.formUnion(consumed)
      #expect(twice == consumed)
    }
  }

  @Test("going forward with a few workers leaves a handful of ranges, and in the end none")
  func forward() {
    var generator = TestGenerator(seed: 5)
    var consumed = Consumed()
    var inFlight: [Int] = []
    var most = 0
    for position in 0..<20_000 {
      inFlight.append(position)
      if inFlight.count > 32 {
        consumed.insert(inFlight.remove(at: Int.random(in: 0..<32, using: &generator)))
      }
      most = max(most, consumed.gapCount)
    }
    for position in inFlight { consumed.insert(position) }
    #expect(most <= 33)
    #expect(consumed == Consumed(below: 20_000))
  }

  @Test("reading in random order keeps every gap, and closes them all in the end")
  func random() {
    var generator = TestGenerator(seed: 6)
    let count = 20_000
    let order = (0..<count).shuffled(using: &generator)
    var consumed = Consumed()
    var set: Set<Int> = []
    for (read, position) in order.enumerated() {
      consumed.insert(position)
      set.insert(position)
      guard read % 2_500 == 0 || read == count - 1 else { continue }
      #expect(consumed.gapCount == consumed.beyond.count)
      #expect(consumed.allRanges.flatMap { Array($0) } == set.sorted())
      var wide = consumed
      let lower = Int.random(in: 0..<count, using: &generator)
      wide.insert(lower..<lower + count / 2)
      #expect(wide.gapCount == wide.beyond.count)
      let expected = set.union(lower..<lower + count / 2).sorted()
      #expect(wide.allRanges.flatMap { Array($0) } == expected)
    }
    #expect(consumed == Consumed(below: count))
  }
}
