import Decompression
import Remote
import ShardCache
import TarIndex
import Testing

private let mebi = 1 << 20

/// Those who wait for bytes and are killed or interrupted.
@Suite(.timeLimit(.minutes(10))) struct LeavingTests {
  private func wait(_ reader: ShardReader, _ waiter: TestWaiter) {
    reader.wait(forBytes: 0..<100, ofShard: 0, plane: .stored, waiter)
  }

  /// A store whose first requests stall until they are cancelled or let go on.
  private func stalling(_ bench: CacheBench, _ count: Int = 1) throws -> FaultyStore {
    try bench.store { number, _ in number < count ? .stall : .none }
  }

  @Test("A fetch ends with the last who waited for it, and who comes then has it begun anew")
  func last() throws {
    let bytes = testBytes(mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try stalling(bench)
    let reader = try bench.reader(over: store)
    let waiters = (0..<3).map { TestWaiter($0) }
    for waiter in waiters { wait(reader, waiter) }
    #expect(eventually { store.stalledCount == 1 })
    for waiter in waiters { reader.leave(bytesOfShard: 0, waiter) }
    // The store is never told to go on with the first.
    let read = try reader.read(0..<Int64(mebi))
    #expect(isSame(read, bytes[...]))
    #expect(store.requests.count == 2)
    #expect(waiters.allSatisfy { $0.answers.isEmpty })
  }

  @Test("A fetch goes on for the others who wait")
  func others() throws {
    let bench = try CacheBench(["a.tar": testBytes(mebi)])
    let store = try stalling(bench)
    let reader = try bench.reader(over: store)
    let (leaving, staying) = (TestWaiter(0), TestWaiter(1))
    wait(reader, leaving)
    wait(reader, staying)
    #expect(eventually { store.stalledCount == 1 })
    reader.leave(bytesOfShard: 0, leaving)
    // Who never waited takes nothing along.
    reader.leave(bytesOfShard: 0, TestWaiter(2))
    store.release()
    let answer = try #require(staying.answer())
    #expect(answer == nil)
    #expect(leaving.answers.isEmpty)
    #expect(store.requests.count == 1)
  }

  @Test("A fetch ends once for a chunk: who is interrupted again and again gets it after all")
  func again() throws {
    let bytes = testBytes(mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try stalling(bench, 2)
    let reader = try bench.reader(over: store)
    for count in 1...2 {
      let waiter = TestWaiter()
      wait(reader, waiter)
      #expect(eventually { store.requests.count == count })
      reader.leave(bytesOfShard: 0, waiter)
    }
    store.release()
    let read = try reader.read(0..<Int64(mebi))
    #expect(isSame(read, bytes[...]))
    #expect(store.requests.count == 2)
  }

  @Test("What is fetched ahead goes on, whoever leaves")
  func ahead() throws {
    let bench = try CacheBench(["a.tar": testBytes(mebi)])
    let store = try stalling(bench)
    let reader = try bench.reader(over: store)
    reader.readAhead([ShardReader.Upcoming(shard: 0, range: 0..<Int64(mebi))], ofStream: 1)
    #expect(eventually { store.stalledCount == 1 })
    let waiter = TestWaiter()
    wait(reader, waiter)
    reader.leave(bytesOfShard: 0, waiter)
    store.release()
    #expect(eventually { reader.bytesAtHand(0..<100) != nil })
    #expect(store.requests.count == 1)
  }

  @Test("A shard that is read whole is given up with the last who waited, and begun anew")
  func whole() throws {
    let packed = try Compressed.bytes(TestShard.samples([100, 200, 300]), .gzip)
    let bench = try CacheBench(["a.tar.gz": packed], acceptsRanges: false)
    let store = try stalling(bench)
    let reader = try bench.reader(over: store)
    let waiter = TestWaiter()
    reader.wait(forSample: Int.max, ofShard: 0, waiter)
    #expect(eventually { store.stalledCount == 1 })
    reader.leave(indexOfShard: 0, waiter)
    let index = try reader.index(upTo: Int.max)
    #expect(index.sampleCount == 3)
    #expect(waiter.answers.isEmpty)
  }
}
