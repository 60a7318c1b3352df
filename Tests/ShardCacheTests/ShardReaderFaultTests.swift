import Decompression
import Glibc
import Remote
import TestSupport
import Testing

@testable import ShardCache

private let mebi = 1 << 20

@Suite(.timeLimit(.minutes(10))) struct ShardReaderFaultTests {
  private let down = StoreError.exhausted(what: "GET", attempts: 3, seconds: 1, detail: "503")

  private func isFetch(_ failure: CacheError?) -> Bool {
    if case .fetch = failure { true } else { false }
  }

  private func isChanged(_ failure: CacheError?) -> Bool {
    if case .shardChanged = failure { true } else { false }
  }

  private func failure(_ body: () throws -> Void) -> CacheError? {
    do {
      try body()
      return nil
    } catch {
      return error as? CacheError
    }
  }

  @Test(
    "A failure reaches everybody who waits, once, and the next try works",
    arguments: [CacheSettings.Place.memory, .disk]
  )
  func reachesAll(place: CacheSettings.Place) throws {
    let bytes = testBytes(2 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store { [down] number, _ in number == 0 ? .stallAndFail(down) : .none }
    let reader = try bench.reader(
      over: store,
      CacheSettings(place: place, budgetBytes: 64 << 20)
    )
    let waiters = (0..<50).map { TestWaiter($0) }
    for waiter in waiters {
      let start = Int64(waiter.name)
      reader.wait(forBytes: start..<start + 100, ofShard: 0, plane: .stored, waiter)
    }
    #expect(eventually { store.stalledCount == 1 })
    store.release()
    for waiter in waiters { #expect(isFetch(try #require(waiter.answer()))) }
    #expect(waiters.allSatisfy { $0.answers.count == 1 })
    #expect(isSame(try reader.read(0..<Int64(mebi)), bytes[..<mebi]))
    #expect(store.requests.count == 2)
  }

  @Test("A body that is cut serves what came, fails the rest, and is fetched again when asked for")
  func cut() throws {
    let bytes = testBytes(2 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store(maxPieceBytes: 5000) { number, _ in
      number == 0 ? .cut(afterBytes: mebi + 1000) : .none
    }
    let reader = try bench.reader(over: store)
    let waiter = TestWaiter()
    reader.wait(forBytes: 1 << 19..<3 << 19, ofShard: 0, plane: .stored, waiter)
    #expect(store.requests.map(\.range) == [0..<2 << 20])
    let first = try #require(waiter.answer())
    #expect(first == nil)
    #expect(eventually { store.statistics.requestsInFlight == 0 })
    #expect(isSame(try reader.read(0..<1 << 20), bytes[..<mebi]))
    #expect(isSame(try reader.read(1 << 19..<3 << 19), bytes[mebi / 2..<3 * mebi / 2]))
    #expect(store.requests.map(\.range) == [0..<2 << 20, 1 << 20..<2 << 20])
  }

  @Test(
    "Failures at random never give a wrong byte, and do not last",
    arguments: [1, 2] as [UInt64]
  )
  func randomFailures(seed: UInt64) throws {
    let bytes = testBytes(12 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store(maxPieceBytes: 100_000) { [down] number, _ in
      switch (UInt64(number) &* 7 &+ seed) % 5 {
      case 0: .fail(down)
      case 1: .cut(afterBytes: 700_000)
      default: .none
      }
    }
    let reader = try bench.reader(over: store)
    onThreads(4) { thread in
      var generator = SeededGenerator(seed: seed * 10 + UInt64(thread))
      for step in 0..<40 {
        let start = generator.below(bytes.count - 1)
        let end = min(bytes.count, start + 1 + generator.below(mebi))
        for attempt in 0..<50 {
          if let got = try? reader.read(Int64(start)..<Int64(end)) {
            #expect(isSame(got, bytes[start..<end]), "seed \(seed), thread \(thread), step \(step)")
            break
          }
          #expect(attempt < 49, "seed \(seed), thread \(thread), step \(step)")
        }
      }
    }
  }

  @Test("An object that was replaced is refused for good, what was cached of it too")
  func replaced() throws {
    let bench = try CacheBench(["a.tar": TestShard.samples([3 * mebi]), "b.tar": testBytes(100)])
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    _ = try reader.read(0..<1 << 20)
    try bench.folder.write(testBytes(4 * mebi, seed: 9), to: "data/a.tar")
    try bench.folder.setModified("data/a.tar", seconds: 1_600_000_000)
    #expect(isChanged(failure { _ = try reader.read(2 << 20..<3 << 20) }))
    let count = store.requests.count
    #expect(reader.bytesAtHand(0..<100) == nil)
    #expect(isChanged(failure { _ = try reader.read(0..<100) }))
    #expect(isChanged(failure { _ = try reader.index(upTo: 0) }))
    #expect(isChanged(reader.lastingFailure(ofShard: 0)))
    #expect(store.requests.count == count)
    #expect(isSame(try reader.read(0..<100, ofShard: 1), testBytes(100)[...]))
  }

  @Test("A shard that is gone fails each read, and is there again when it is back")
  func gone() throws {
    let bytes = testBytes(mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store { number, request in
      number < 2 ? .fail(.noSuchObject(key: request.object.key)) : .none
    }
    let reader = try bench.reader(over: store)
    for _ in 0..<2 { #expect(isFetch(failure { _ = try reader.read(0..<10) })) }
    #expect(isSame(try reader.read(0..<10), bytes[..<10]))
  }

  @Test("While one shard stalls the others are served")
  func stall() throws {
    let bench = try CacheBench(["a.tar": testBytes(mebi), "b.tar": testBytes(mebi, seed: 2)])
    let store = try bench.store { _, request in
      request.object.key == ObjectKey("a.tar") ? .stall : .none
    }
    let reader = try bench.reader(over: store)
    let waiters = (0..<64).map { TestWaiter($0) }
    for waiter in waiters { reader.wait(forBytes: 0..<10, ofShard: 0, plane: .stored, waiter) }
    #expect(isSame(try reader.read(0..<10, ofShard: 1), testBytes(mebi, seed: 2)[..<10]))
    #expect(waiters.allSatisfy { $0.answers.isEmpty })
    store.release()
    #expect(waiters.allSatisfy { $0.answer() != nil })
  }

  // MARK: The end

  @Test(
    "At the end everybody who waits is told so, and nothing keeps the cache in memory",
    arguments: [CacheSettings.Place.memory, .disk]
  )
  func shutDown(place: CacheSettings.Place) throws {
    let zip = try Compressed.bytes(TestShard.samples([1000]), .zstd)
    let bench = try CacheBench([
      "a.tar": testBytes(40 * mebi), "b.tar": TestShard.samples([1000]), "c.tar.zst": zip,
    ])
    let store = try bench.store { _, _ in .stall }
    weak var gone: ShardReader?
    let waiters = (0..<40).map { TestWaiter($0) }
    do {
      let reader = try bench.reader(
        over: store,
        CacheSettings(place: place, budgetBytes: CacheSettings.minBudgetBytes)
      )
      gone = reader
      // More than there is room for in memory, so that some wait for that.
      for waiter in waiters[..<30] {
        let start = Int64(waiter.name) << 20
        reader.wait(forBytes: start..<start + 10, ofShard: 0, plane: .stored, waiter)
      }
      for waiter in waiters[30..<35] { reader.wait(forSample: 0, ofShard: 1, waiter) }
      for waiter in waiters[35...] { reader.wait(forSample: 0, ofShard: 2, waiter) }
      reader.readAhead([ShardReader.Upcoming(shard: 0, range: 0..<30 << 20)], ofStream: 0)
      #expect(eventually { store.requests.contains { $0.key == "c.tar.zst" } || place == .memory })
      #expect(waiters.allSatisfy { $0.answers.isEmpty })
      bench.end(reader)
      for waiter in waiters {
        guard case .some(.closed) = try #require(waiter.answer()) else {
          Issue.record("waiter \(waiter.name) was told \(waiter.answers)")
          continue
        }
      }
      #expect(waiters.allSatisfy { $0.answers.count == 1 })
      let late = TestWaiter()
      reader.wait(forBytes: 0..<10, ofShard: 0, plane: .stored, late)
      reader.wait(forSample: 0, ofShard: 1, late)
      reader.wait(forSample: 0, ofShard: 2, late)
      #expect(late.answers.count == 3)
      reader.beginIndex(ofShard: 1, isWanted: true)
      reader.shutDown()
    }
    store.release()
    #expect(eventually { gone == nil })
  }

  @Test("What had come at the end is kept for the next mount")
  func keptAtEnd() throws {
    let bytes = TestShard.samples([Int](repeating: 100_000, count: 80))
    let bench = try CacheBench(["a.tar": bytes])
    let settings = CacheSettings(place: .disk, budgetBytes: 64 << 20)
    let first = try bench.reader(over: try bench.store(), settings)
    _ = try first.index(upTo: .max)
    for chunk in 0..<7 as Range<Int64> { _ = try first.read(chunk << 20..<(chunk + 1) << 20) }
    bench.end(first)
    let store = try bench.store()
    let second = try bench.reader(over: store, settings)
    _ = try second.index(upTo: .max)
    for chunk in 0..<7 as Range<Int64> {
      let part = bytes[Int(chunk) * mebi..<Int(chunk + 1) * mebi]
      #expect(isSame(try second.read(chunk << 20..<(chunk + 1) << 20), part))
    }
    #expect(store.requests.isEmpty)
  }

  @Test("A cache directory that is removed under a mount costs nothing but its use")
  func directoryRemoved() throws {
    let bytes = testBytes(30 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let settings = CacheSettings(place: .disk, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: try bench.store(), settings)
    for pass in 0..<2 {
      for chunk in 0..<30 as Range<Int64> {
        let part = bytes[Int(chunk) * mebi..<Int(chunk + 1) * mebi]
        #expect(isSame(try reader.read(chunk << 20..<(chunk + 1) << 20), part), "chunk \(chunk)")
        if pass == 0 && chunk == 10 {
          _ = try RunningProcess("/bin/rm", ["-rf", bench.cachePath]).wait()
        }
      }
    }
  }
}
