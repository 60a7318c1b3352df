import Schema
import ShardCache
import Testing

@testable import SampleTree

/// What is kept of decoded fields, and who waits for which.
@Suite struct DecodedStoreTests {
  private let now = ContinuousClock.now

  private func field(_ ordinal: Int) -> DecodedField {
    DecodedField(rule: 0, shard: 0, plane: .stored, ordinal: ordinal, range: 0..<10)
  }

  private func has(_ store: DecodedStore, _ ordinal: Int) -> Bool {
    guard case .ready = store.finding(of: field(ordinal), now: now) else { return false }
    return true
  }

  private func put(_ bytes: Int, _ ordinal: Int, in store: inout DecodedStore) {
    _ = store.want(field(ordinal), nil, now: now)
    _ = store.finish(field(ordinal), .success([UInt8](repeating: 1, count: bytes)), now: now)
  }

  @Test("One works for all who want a field, and all of them are told")
  func shared() {
    var store = DecodedStore(maxBytes: 100)
    let waiters = (0..<3).map { _ in Waiter() }
    var begun = 0
    for waiter in waiters {
      if case .new = store.want(field(1), waiter, now: now) { begun += 1 }
    }
    #expect(begun == 1)
    #expect(store.finish(field(1), .success([7]), now: now).count == 3)
    guard case .there = store.want(field(1), nil, now: now) else {
      Issue.record("what is there is begun again")
      return
    }
  }

  @Test("The budget is kept: what was read to its end goes first, then the oldest")
  func budget() {
    var store = DecodedStore(maxBytes: 100)
    for ordinal in 0..<4 { put(25, ordinal, in: &store) }
    store.noteRead(field(2))
    put(25, 4, in: &store)
    #expect(!has(store, 2) && has(store, 0))
    put(50, 5, in: &store)
    #expect(!has(store, 0) && !has(store, 1) && has(store, 3) && has(store, 4) && has(store, 5))
    #expect(store.usedBytes == 100)
    put(100, 6, in: &store)
    #expect(store.usedBytes == 100 && has(store, 6) && !has(store, 5))
  }

  @Test(
    "Of what is soon decoded again only the last stay once they were read, and all that nobody read"
  )
  func passing() {
    let limit = DecodedStore.maxPassingBytes
    let each = limit / 16
    var store = DecodedStore(maxBytes: 4 * limit)
    for ordinal in 0..<40 { put(each, ordinal, in: &store) }
    for ordinal in 0..<30 { store.noteRead(field(ordinal), isPassing: true) }
    #expect((0..<40).map { has(store, $0) } == (0..<40).map { $0 >= 14 })
    #expect(store.usedBytes == 26 * each)
    // One that is read again after it went counts anew, and a large one stays.
    put(each, 0, in: &store)
    store.noteRead(field(0), isPassing: true)
    put(limit / 4, 40, in: &store)
    store.noteRead(field(40), isPassing: true)
    #expect(has(store, 0) && has(store, 40) && !has(store, 14) && has(store, 15))
    #expect(store.usedBytes == 26 * each + limit / 4)
  }

  @Test("Reading the same fields again and again leaves nothing behind")
  func bounded() {
    var store = DecodedStore(maxBytes: 100)
    for round in 0..<1000 {
      put(30, round % 7, in: &store)
      store.noteRead(field(round % 7))
      store.noteRead(field(round % 7))
      #expect(store.usedBytes <= 100)
    }
  }

  @Test("A failure of the bytes stays, one that may pass is tried again after a while")
  func failures() {
    var store = DecodedStore(maxBytes: 100)
    _ = store.finish(field(1), .failure(.notReadable("x")), now: now)
    _ = store.finish(field(2), .failure(.program("y")), now: now)
    for (ordinal, seconds, isThere) in [(1, 0, true), (2, 0, true), (1, 60, true), (2, 60, false)] {
      let finding = store.finding(of: field(ordinal), now: now + .seconds(seconds))
      if case .failed = finding { #expect(isThere) } else { #expect(!isThere) }
    }
    guard case .new = store.want(field(2), nil, now: now + .seconds(60)) else {
      Issue.record("it is not tried again")
      return
    }
  }

  @Test("What could not be fetched is neither kept nor a failure")
  func notFetched() {
    var store = DecodedStore(maxBytes: 100)
    _ = store.want(field(1), Waiter(), now: now)
    #expect(store.finish(field(1), nil, now: now).count == 1)
    #expect(store.isWanted(field(1)))
  }

  @Test("Who leaves is not told, and the work goes on")
  func leaves() {
    var store = DecodedStore(maxBytes: 100)
    let (gone, other) = (Waiter(), Waiter())
    for waiter in [gone, other] { _ = store.want(field(1), waiter, now: now) }
    store.leave(field(1), gone)
    #expect(store.finish(field(1), .success([1]), now: now).map { $0 === other } == [true])
  }

  @Test("The end refuses every wish")
  func closes() {
    var store = DecodedStore(maxBytes: 100)
    _ = store.want(field(1), Waiter(), now: now)
    #expect(store.close().count == 1)
    guard case .closed = store.want(field(2), Waiter(), now: now) else {
      Issue.record("a wish after the end is taken up")
      return
    }
    #expect(store.finish(field(1), .success([1]), now: now).isEmpty)
  }
}

private final class Waiter: CacheWaiter {
  func cacheAnswered(_ failure: CacheError?) {}
}
