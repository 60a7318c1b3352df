import SampleOrder
import Testing

@Suite struct CursorMergeTests {
  private func cursor(_ ranks: [Progress], held: [Int]? = nil, seed: UInt64 = 1) throws -> Cursor {
    let leg = try Leg(worldSize: ranks.count, lanes: ranks.count * 8, ranks: ranks)
    let split = SplitCursor(fingerprint: "f", partition: .samples, present: leg)
    return Cursor(shuffle: .full, seed: seed, ranks: held, splits: ["train": split])
  }

  private func progress(_ below: Int, epoch: Int = 0, at time: Int64? = nil) -> Progress {
    Progress(epoch: epoch, consumed: Consumed(below: below), committedAt: time)
  }

  @Test("what either node consumed is consumed, and ranks nobody read are named")
  func union() throws {
    var gaps = Consumed(below: 3)
    gaps.insert(5..<9)
    var others = Consumed(below: 4)
    others.insert(7..<12)
    let first = try cursor([Progress(consumed: gaps), progress(0), progress(0)])
    let second = try cursor([Progress(consumed: others), progress(70), progress(0)])
    let (merged, idle) = try Cursor.merge([first, second])
    var both = Consumed(below: 4)
    both.insert(5..<12)
    #expect(
      merged.splits["train"]?.present.ranks.map(\.consumed) == [both, Consumed(below: 70), .none]
    )
    #expect(idle == ["train": [2]])
  }

  @Test("a later epoch counts before an earlier, the latest commit before all reads")
  func latest() throws {
    let first = try cursor([progress(50), progress(900), progress(900, at: 10), progress(9)])
    let second = try cursor([
      progress(4, epoch: 1), progress(800, at: 5), progress(20, at: 11), progress(9),
    ])
    for pair in [[first, second], [second, first]] {
      let ranks = try Cursor.merge(pair).cursor.splits["train"]?.present.ranks
      #expect(ranks?.map(\.consumed.next) == [4, 800, 20, 9])
      #expect(ranks?.map(\.epoch) == [1, 0, 0, 0])
    }
  }

  @Test("the ranks held come together, and a whole cursor can be resumed at another world size")
  func held() throws {
    let first = try cursor([progress(50), progress(0)], held: [0])
    let second = try cursor([progress(0), progress(60)], held: [1])
    var alone = first
    #expect(throws: CursorError.incomplete(ranks: [0], worldSize: 2, wanted: 3)) {
      try alone.resume(atWorldSize: 3)
    }
    #expect(alone == first)
    try alone.resume(atWorldSize: 2)
    #expect(alone == first)
    var (merged, idle) = try Cursor.merge([first, second])
    #expect(merged.ranks == nil)
    #expect(idle == ["train": []])
    try merged.resume(atWorldSize: 3)
    #expect(merged.worldSize == 3)
    #expect(merged.splits["train"]?.present.lanes == 24, "8 ranks' lanes do not divide by 3")
    #expect(merged.splits["train"]?.earlier.count == 1)
  }

  @Test("cursors of different orders or earlier legs are refused, naming what differs")
  func refused() throws {
    let first = try cursor([progress(1), progress(2)])
    #expect(throws: CursorError.notOfOneRun(what: "seed", first: "1", other: "2")) {
      try Cursor.merge([first, cursor([progress(1), progress(2)], seed: 2)])
    }
    #expect(throws: CursorError.notOfOneRun(what: "world size", first: "2", other: "1")) {
      try Cursor.merge([first, cursor([progress(1)])])
    }
    var (left, right) = (first, try cursor([progress(1), progress(3)]))
    try left.resume(atWorldSize: 3)
    try right.resume(atWorldSize: 3)
    #expect(throws: CursorError.self) { try Cursor.merge([left, right]) }
    var other = first
    other.splits["train"]?.fingerprint = "g"
    #expect(
      throws: CursorError.notOfOneRun(what: "fingerprint of train", first: "f", other: "g")
    ) { try Cursor.merge([first, other]) }
  }

  @Test("lanes stay where the new world size divides them; legs that no longer matter are dropped")
  func legs() throws {
    var cursor = try cursor([progress(1), progress(2)])
    try cursor.resume(atWorldSize: 4)
    #expect(cursor.splits["train"]?.present.lanes == 16)
    try cursor.resume(atWorldSize: 3)
    #expect(cursor.splits["train"]?.present.lanes == 24)
    #expect(cursor.splits["train"]?.earlier.count == 2)
    cursor.splits["train"]?.present.ranks = (0..<3).map { _ in progress(7, epoch: 4) }
    try cursor.resume(atWorldSize: 2)
    #expect(cursor.splits["train"]?.earlier.map(\.worldSize) == [3])
    #expect(cursor.splits["train"]?.present.ranks == [Progress(epoch: 4), Progress(epoch: 4)])
  }

  @Test("one rank's cursor holds that rank alone, and the ranks' cursors make the whole again")
  func single() throws {
    let whole = try cursor([progress(5), progress(6), progress(7)])
    let singles = (0..<3).map { whole.holding(only: [$0]) }
    #expect(singles[1].holds(rank: 1) && !singles[1].holds(rank: 2) && whole.holds(rank: 2))
    #expect(singles[1].splits["train"]?.present.ranks.map(\.consumed.next) == [0, 6, 0])
    #expect(try Cursor.merge(singles).cursor == whole)
    #expect(try Cursor(decoding: singles[2].encoded()) == singles[2])
    try whole.checkRun(singles[0])
  }

  @Test("a fresh leg has the lanes of its parameters and begins in the epoch asked for")
  func fresh() throws {
    let leg = Leg(try OrderParameters(shuffle: .full, worldSize: 3), epoch: 4)
    #expect(leg.lanes == 24)
    #expect(leg.ranks == [Progress](repeating: Progress(epoch: 4), count: 3))
    let split = SplitCursor(fingerprint: "f", partition: .shards, present: leg)
    let cursor = Cursor(shuffle: .full, splits: ["train": split])
    let shape = try DatasetShape(sampleCounts: [4, 4])
    let order = try cursor.order(of: split, epoch: 4, shape: shape)
    #expect(order.parameters == (try cursor.parameters(of: split)))
  }
}
