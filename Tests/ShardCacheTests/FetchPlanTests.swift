import Testing

@testable import ShardCache

@Suite struct FetchPlanTests {
  private let mebi = ChunkID.sizeBytes

  private func chunk(_ number: Int32) -> ChunkID {
    ChunkID(shard: 0, plane: .stored, number: number)
  }

  private func begin(
    _ plan: inout FetchPlan,
    _ run: Range<Int32>,
    for need: FetchPlan.Need = .scan,
    sparingAhead: Bool = false,
    ticket: Int = 1
  ) -> Bool {
    plan.begin(
      run,
      ofShard: 0,
      plane: .stored,
      planeBytes: 1 << 40,
      for: need,
      sparingAhead: sparingAhead,
      ticket: ticket
    )
  }

  /// Begins the chunks, fills them and marks them as written.
  private func fill(
    _ plan: inout FetchPlan,
    _ run: Range<Int32>,
    for need: FetchPlan.Need = .scan
  ) throws {
    try #require(begin(&plan, run, for: need))
    for number in run {
      let slot = try #require(plan.slot(of: chunk(number)))
      _ = plan.filled(slot, to: mebi)
      plan.markClean(slot)
    }
  }

  private func names(_ waiters: [any CacheWaiter]) -> [Int] {
    waiters.compactMap { ($0 as? TestWaiter)?.name }
  }

  private func present(_ plan: FetchPlan, _ numbers: Range<Int32>) -> [Int32] {
    numbers.filter { plan.contains(chunk($0)) }
  }

  @Test("A chunk on its way is not missing: who comes later joins the fetch")
  func singleFlight() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    let run = plan.firstMissing(in: 0..<2, ofShard: 0, plane: .stored, maxLength: 4)
    #expect(run == 0..<2)
    #expect(begin(&plan, 0..<2))
    #expect(plan.firstMissing(in: 0..<2, ofShard: 0, plane: .stored, maxLength: 4) == nil)
    #expect(plan.firstMissing(in: 0..<4, ofShard: 0, plane: .stored, maxLength: 1) == 2..<3)
    #expect(plan.firstMissing(in: 0..<2, ofShard: 0, plane: .inflated, maxLength: 4) == 0..<2)
    #expect(plan.firstMissing(in: 0..<2, ofShard: 1, plane: .stored, maxLength: 4) == 0..<2)
  }

  @Test("A run that is missing is cut at what is there, at its longest, and at what is elsewhere")
  func runs() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    #expect(begin(&plan, 3..<4))
    #expect(plan.firstMissing(in: 0..<9, ofShard: 0, plane: .stored, maxLength: 9) == 0..<3)
    #expect(plan.firstMissing(in: 3..<9, ofShard: 0, plane: .stored, maxLength: 2) == 4..<6)
    let isElsewhere = { (chunk: ChunkID) in chunk.number < 6 }
    #expect(
      plan.firstMissing(
        in: 0..<9,
        ofShard: 0,
        plane: .stored,
        maxLength: 9,
        isElsewhere: isElsewhere
      ) == 6..<9
    )
  }

  @Test("Who waits is told when as much as they asked for has come, and not before")
  func waitersByFill() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    #expect(begin(&plan, 0..<1))
    let slot = try #require(plan.slot(of: chunk(0)))
    for (name, bytes) in [(1, 100), (2, 200), (3, mebi), (4, 100)] {
      plan.wait(for: slot, filledTo: bytes, TestWaiter(name))
    }
    #expect(names(plan.filled(slot, to: 99)) == [])
    #expect(names(plan.filled(slot, to: 150)) == [1, 4])
    #expect(names(plan.filled(slot, to: 200)) == [2])
    guard case .ready(slot) = plan.finding(of: chunk(0), holding: 0..<200) else {
      Issue.record("200 bytes are there")
      return
    }
    guard case .onItsWay(slot) = plan.finding(of: chunk(0), holding: 0..<201) else {
      Issue.record("201 bytes are not there")
      return
    }
    #expect(names(plan.filled(slot, to: mebi)) == [3])
  }

  @Test("A part of a chunk does for what lies in it, and makes way for what does not")
  func parts() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    func beginPart(_ part: Range<Int>?) -> Bool {
      plan.begin(
        0..<1,
        ofShard: 0,
        plane: .stored,
        planeBytes: 1 << 40,
        part: part,
        for: .sample,
        sparingAhead: false,
        ticket: 1
      )
    }
    func isMissing(_ bytes: Range<Int64>) -> Bool {
      plan.firstMissing(in: 0..<1, ofShard: 0, plane: .stored, of: bytes, maxLength: 1) != nil
    }
    #expect(beginPart(1000..<2000))
    let slot = try #require(plan.slot(of: chunk(0)))
    // On its way: who wants more waits for it and asks again.
    #expect(!isMissing(0..<3000))
    plan.wait(for: slot, filledTo: 1500, TestWaiter(1))
    plan.wait(for: slot, filledTo: 3000, TestWaiter(2))
    #expect(names(plan.filled(slot, to: 2000)) == [1, 2])
    plan.markClean(slot)
    for inside in [1000..<2000, 1500..<1501] {
      guard case .ready(slot) = plan.finding(of: chunk(0), holding: inside) else {
        Issue.record("\(inside) lies in the part")
        return
      }
    }
    for outside in [999..<1001, 1999..<2001, 0..<1, 5000..<6000] {
      guard case .absent = plan.finding(of: chunk(0), holding: outside) else {
        Issue.record("\(outside) does not lie in the part")
        return
      }
      #expect(isMissing(Int64(outside.lowerBound)..<Int64(outside.upperBound)))
    }
    #expect(!isMissing(1000..<2000))
    // Whoever still reads the part keeps it.
    _ = plan.lease(slot)
    #expect(beginPart(nil))
    let whole = try #require(plan.slot(of: chunk(0)))
    #expect(whole != slot)
    #expect(plan.isOrphan(slot))
    plan.release(slot)
    #expect(plan.slotCount == 1)
    _ = plan.filled(whole, to: mebi)
    #expect(!isMissing(0..<Int64(mebi)))
  }

  @Test("A part that cannot be loaded is fetched as a whole")
  func widened() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    let isBegun = plan.begin(
      0..<1,
      ofShard: 0,
      plane: .stored,
      planeBytes: 1 << 40,
      part: 1000..<2000,
      for: .sample,
      sparingAhead: false,
      ticket: 7
    )
    #expect(isBegun)
    plan.widen(chunk(0), ticket: 6)
    let slot = try #require(plan.slot(of: chunk(0)))
    #expect(plan.part(ofSlot: slot) == 1000..<2000)
    plan.widen(chunk(0), ticket: 7)
    #expect(plan.part(ofSlot: slot) == 0..<mebi)
    plan.wait(for: slot, filledTo: 3000, TestWaiter(1))
    #expect(names(plan.filled(slot, to: 2000)) == [])
    #expect(names(plan.filled(slot, to: 3000)) == [1])
  }

  @Test("What was read least recently goes first, and never more are held than may be")
  func leastRecentlyUsed() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    try fill(&plan, 0..<4)
    plan.use(try #require(plan.slot(of: chunk(0))))
    #expect(begin(&plan, 10..<12))
    #expect(present(plan, 0..<20) == [0, 3, 10, 11])
    #expect(plan.slotCount == 4)
    #expect(plan.evictionCount == 2)
  }

  @Test("What is leased, waited for, on its way or not yet written stays")
  func whatStays() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    try fill(&plan, 0..<1)
    let leased = try #require(plan.slot(of: chunk(0)))
    _ = plan.lease(leased)
    #expect(begin(&plan, 1..<3))
    let dirty = try #require(plan.slot(of: chunk(2)))
    _ = plan.filled(dirty, to: mebi)
    try fill(&plan, 3..<4)
    #expect(plan.hasRoom)
    #expect(begin(&plan, 5..<6))
    #expect(present(plan, 0..<20) == [0, 1, 2, 5])
    #expect(!plan.hasRoom)
    #expect(!begin(&plan, 6..<7))
    plan.release(leased)
    #expect(plan.hasRoom)
    plan.markClean(dirty)
    #expect(begin(&plan, 6..<8))
    #expect(present(plan, 0..<20) == [1, 5, 6, 7])
  }

  @Test("What lies ahead is spared, and where it must go the farthest goes first")
  func aheadIsSpared() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    try fill(&plan, 0..<2)
    try fill(&plan, 10..<12, for: .ahead)
    #expect(begin(&plan, 20..<21, for: .ahead, sparingAhead: true))
    #expect(begin(&plan, 21..<22, for: .ahead, sparingAhead: true))
    #expect(present(plan, 0..<30) == [10, 11, 20, 21])
    #expect(!begin(&plan, 22..<23, for: .ahead, sparingAhead: true))
    #expect(begin(&plan, 30..<31, sparingAhead: false))
    #expect(present(plan, 0..<40) == [10, 20, 21, 30])
  }

  @Test("A reader that catches up makes what it read the next to go")
  func caughtUp() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    try fill(&plan, 0..<3, for: .ahead)
    #expect(plan.caughtUpCount == 0)
    let slot = try #require(plan.slot(of: chunk(0)))
    _ = plan.lease(slot)
    plan.release(slot)
    #expect(plan.caughtUpCount == 1)
    #expect(begin(&plan, 5..<7, for: .ahead, sparingAhead: true))
    #expect(present(plan, 0..<20) == [1, 2, 5, 6])
  }

  @Test("What a reader waits for stays until it has read it, unless all else has gone")
  func expected() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    try fill(&plan, 0..<1, for: .read)
    try fill(&plan, 1..<2)
    try fill(&plan, 10..<12, for: .ahead)
    #expect(begin(&plan, 12..<13, for: .ahead, sparingAhead: true))
    #expect(present(plan, 0..<20) == [0, 10, 11, 12])
    #expect(!begin(&plan, 13..<14, for: .ahead, sparingAhead: true))
    let far = try #require(plan.slot(of: chunk(11)))
    plan.expect(far)
    #expect(begin(&plan, 20..<21))
    #expect(present(plan, 0..<30) == [0, 11, 12, 20])
    #expect(begin(&plan, 21..<22))
    #expect(present(plan, 0..<30) == [11, 12, 20, 21])
    _ = plan.lease(far)
    plan.release(far)
    #expect(begin(&plan, 22..<23, for: .ahead, sparingAhead: true) == false)
    #expect(begin(&plan, 22..<23))
    #expect(present(plan, 0..<30) == [12, 20, 21, 22])
  }

  @Test("Read-ahead leaves a quarter of the slots to who reads now")
  func aheadLeavesRoom() {
    var plan = FetchPlan(maxSlotCount: 8)
    #expect(begin(&plan, 0..<6, for: .ahead))
    #expect(!begin(&plan, 6..<7, for: .ahead))
    #expect(begin(&plan, 6..<8))
    #expect(!begin(&plan, 8..<9))
  }

  @Test("What was fetched ahead of nobody any more is let go")
  func staleAhead() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    try fill(&plan, 0..<3, for: .ahead)
    try fill(&plan, 3..<4, for: .ahead)
    #expect(!begin(&plan, 10..<12, for: .ahead, sparingAhead: true))
    plan.passOver { $0.number < 2 }
    #expect(begin(&plan, 10..<12, for: .ahead, sparingAhead: true))
    #expect(present(plan, 0..<20) == [2, 3, 10, 11])
  }

  @Test("A slot that is given up goes at once, or with its last lease")
  func abandoned() throws {
    var plan = FetchPlan(maxSlotCount: 2)
    #expect(begin(&plan, 0..<2, ticket: 7))
    let slot = try #require(plan.slot(of: chunk(0)))
    let other = try #require(plan.slot(of: chunk(1)))
    let block = try #require(UnsafeMutableRawPointer(bitPattern: 0x1000))
    #expect(plan.memory(ofSlot: slot) == nil)
    plan.assign(block, to: slot)
    _ = plan.filled(slot, to: 10)
    _ = plan.lease(slot)
    _ = plan.lease(slot)
    plan.wait(for: slot, filledTo: 20, TestWaiter(1))
    plan.wait(for: other, filledTo: 20, TestWaiter(2))
    #expect(names(plan.abandon(0..<2, ofShard: 0, plane: .stored, ticket: 6)) == [])
    #expect(names(plan.abandon(0..<2, ofShard: 0, plane: .stored, ticket: 7)) == [1, 2])
    #expect(present(plan, 0..<2) == [])
    #expect(plan.slotCount == 1)
    #expect(plan.unsettledCount == 0)
    #expect(!begin(&plan, 4..<6))
    plan.release(slot)
    #expect(plan.slotCount == 1)
    plan.release(slot)
    #expect(plan.slotCount == 0)
    #expect(begin(&plan, 4..<6))
    let next = try #require(plan.slot(of: chunk(4)))
    #expect(plan.memory(ofSlot: next) == block)
    #expect(plan.blockCount == 1)
  }

  @Test("What is complete stays when its fetch fails later")
  func completeStays() throws {
    var plan = FetchPlan(maxSlotCount: 4)
    #expect(begin(&plan, 0..<2, ticket: 7))
    let slot = try #require(plan.slot(of: chunk(0)))
    _ = plan.filled(slot, to: mebi)
    _ = plan.abandon(0..<2, ofShard: 0, plane: .stored, ticket: 7)
    #expect(present(plan, 0..<2) == [0])
  }

  @Test("A shard's plane is dropped, and what is held of it is found by nobody any more")
  func drop() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    try fill(&plan, 0..<3)
    #expect(begin(&plan, 3..<4))
    let held = try #require(plan.slot(of: chunk(1)))
    _ = plan.hold(held)
    plan.drop(shard: 1, plane: .stored)
    plan.drop(shard: 0, plane: .inflated)
    #expect(plan.slotCount == 4)
    plan.drop(shard: 0, plane: .stored)
    #expect(present(plan, 0..<4) == [3])
    #expect(plan.slotCount == 2)
    #expect(plan.isOrphan(held))
    plan.release(held)
    #expect(plan.slotCount == 1)
    #expect(plan.unsettledCount == 1)
  }

  @Test("At the end everybody who waits is taken out, once")
  func takeWaiters() throws {
    var plan = FetchPlan(maxSlotCount: 8)
    #expect(begin(&plan, 0..<2))
    for number in 0..<2 as Range<Int32> {
      let slot = try #require(plan.slot(of: chunk(number)))
      plan.wait(for: slot, filledTo: 20, TestWaiter(Int(number)))
    }
    #expect(names(plan.takeWaiters()) == [0, 1])
    #expect(names(plan.takeWaiters()) == [])
  }

  @Test("A shard whose bytes do not come leaves room to the others")
  func shares() throws {
    var plan = FetchPlan(maxSlotCount: 16)
    func begin(_ shard: Int32, _ number: Int32) -> Bool {
      plan.begin(
        number..<number + 2,
        ofShard: shard,
        plane: .stored,
        planeBytes: 1 << 40,
        for: .read,
        sparingAhead: false,
        ticket: Int(shard)
      )
    }
    let begun = (0..<8).map { begin(0, $0 * 2) }
    #expect(begun == Array(repeating: true, count: 7) + [false])
    let other = begin(1, 0)
    #expect(other)
    // As soon as some have come there is more for it.
    for number in Int32(0)..<2 {
      let slot = try #require(plan.slot(of: chunk(number)))
      _ = plan.filled(slot, to: mebi)
      plan.markClean(slot)
    }
    let none = begin(0, 14)
    #expect(!none)
    _ = plan.abandon(0..<2, ofShard: 1, plane: .stored, ticket: 1)
    let again = begin(0, 14)
    #expect(again)
  }
}
