import Testing

@testable import SampleOrder

@Suite("what a cursor keeps of the shards' counts")
struct KnownCountsTests {
  private func expanded(_ counts: KnownCounts, ofFirst shardCount: Int) -> [Int?] {
    var expanded = [Int?](repeating: nil, count: shardCount)
    counts.forEach(ofFirst: shardCount) { expanded[$0] = $1 }
    return expanded
  }

  @Test("counts come back from their text as they were, known or not", arguments: 0..<50)
  func text(seed: Int) throws {
    var random = TestGenerator(seed: UInt64(seed))
    let shardCount = Int.random(in: 0...300, using: &random)
    let most = [1, 3, 1 << 40].randomElement(using: &random) ?? 1
    let counts = (0..<shardCount).map { _ -> Int? in
      Bool.random(using: &random) ? Int.random(in: 0...most, using: &random) : nil
    }
    let known = KnownCounts(counts)
    #expect(expanded(known, ofFirst: shardCount) == counts)
    #expect(known.shardCount == counts.count { $0 != nil })
    let read = try #require(KnownCounts(known.text))
    #expect(expanded(read, ofFirst: shardCount) == counts)
  }

  @Test("equal counts cost nothing, and of too many different ones the first are kept")
  func limits() throws {
    let equal = KnownCounts(Array(repeating: 1000, count: 200_000))
    #expect(equal.text == "0+200000:1000" && equal.shardCount == 200_000)
    let different = KnownCounts((0..<10_000).map { $0 })
    #expect(different.shardCount == KnownCounts.maxRuns)
    #expect(expanded(different, ofFirst: 3) == [0, 1, 2])
    #expect(try #require(KnownCounts(different.text)).shardCount == KnownCounts.maxRuns)
  }

  @Test(
    "what is no list of counts is refused",
    arguments: [
      "0", "0+1", "1:1", "0+1:", "-1+1:1", "0+0:1", "0+1:-1", "0+2:1 1+1:1", "5+1:1 0+1:1", "a+1:1",
      "0+99999999999:1", "0+1:2000000000000", "9223372036854775807+1:1", "0+1:1:1", "0:1+1",
    ]
  )
  func hostile(text: String) {
    #expect(KnownCounts(text) == nil)
  }

  @Test("a count for more shards than there are reaches none beyond them")
  func clamped() throws {
    let counts = try #require(KnownCounts("0+2000000000:7"))
    #expect(expanded(counts, ofFirst: 3) == [7, 7, 7])
  }

  @Test(
    "a cursor keeps them, also through another world size, and is the same place with or without"
  )
  func cursor() throws {
    let leg = try Leg(worldSize: 2, lanes: 2, ranks: [Progress(), Progress(epoch: 1)])
    var split = SplitCursor(fingerprint: "f", partition: .shards, present: leg)
    let bare = Cursor(splits: ["train": split])
    split.counts = KnownCounts([5, nil, 7, 7])
    var cursor = Cursor(splits: ["train": split])
    #expect(cursor == bare)
    cursor = try Cursor(decoding: cursor.encoded())
    #expect(cursor.splits["train"].map { expanded($0.counts, ofFirst: 4) } == [5, nil, 7, 7])
    try cursor.resume(atWorldSize: 3)
    cursor = cursor.holding(only: [1])
    #expect(cursor.splits["train"].map { expanded($0.counts, ofFirst: 4) } == [5, nil, 7, 7])
    let text = String(decoding: cursor.encoded(), as: UTF8.self)
    #expect(text.contains("\"counts\": \"0+1:5 2+2:7\","))
  }
}
