import Decompression
import Remote
import TarIndex
import TestSupport
import Testing

@testable import ShardCache

private let mebi = 1 << 20

@Suite(.timeLimit(.minutes(10))) struct ReadAheadFetchTests {
  private func upcoming(_ shard: Int, _ chunks: Range<Int64>) -> ShardReader.Upcoming {
    ShardReader.Upcoming(shard: shard, range: chunks.lowerBound << 20..<chunks.upperBound << 20)
  }

  private func chunks(_ store: FaultyStore, _ key: String) -> [Int64] {
    store.requests.filter { $0.key == key }
      .flatMap { $0.range.lowerBound >> 20..<($0.range.upperBound + Int64(mebi) - 1) >> 20 }
      .sorted()
  }

  /// Whether each chunk of the first shard was asked for once; a short answer, where there are many.
  private func isOnceEach(_ store: FaultyStore, _ count: Int64) -> Bool {
    chunks(store, "a.tar") == Array(0..<count)
  }

  private func isHeld(_ reader: ShardReader, _ shard: Int, _ chunk: Int64) -> Bool {
    reader.bytesAtHand(chunk << 20..<(chunk << 20) + 1, ofShard: shard) != nil
  }

  @Test(
    "What lies ahead is fetched once, in large requests, and no further than the window",
    arguments: [CacheSettings.Place.memory, .disk]
  )
  func once(place: CacheSettings.Place) throws {
    let bytes = testBytes(24 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let settings = CacheSettings(place: place, budgetBytes: 100 << 20)
    let reader = try bench.reader(over: store, settings)
    // The scan of the empty directory comes first, else each chunk is looked for on disk.
    #expect(
      eventually {
        reader.disk?.mayHold(
          ChunkID(shard: 0, plane: .stored, number: 0),
          of: reader.identities[0]
        ) != true
      }
    )
    reader.readAhead([upcoming(0, 0..<8), upcoming(0, 8..<20)], ofStream: 1)
    #expect(eventually { reader.statistics.chunksFetched == 20 })
    reader.readAhead([upcoming(0, 0..<20)], ofStream: 1)
    #expect(chunks(store, "a.tar") == Array(0..<20))
    #expect(store.requests.allSatisfy { $0.priority == .readAhead })
    #expect(store.requests.count == 20 / Int(settings.maxRunLength))
    for chunk in 0..<20 as Range<Int64> {
      let part = bytes[Int(chunk) * mebi..<Int(chunk + 1) * mebi]
      #expect(isSame(try reader.read(chunk << 20..<(chunk + 1) << 20), part))
    }
    #expect(store.requests.count == 20 / Int(settings.maxRunLength))
  }

  @Test("A sequential reader with a window larger than the cache fetches each byte once")
  func largerThanCache() throws {
    let bytes = testBytes(60 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let settings = CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: store, settings)
    for chunk in 0..<60 as Range<Int64> {
      if chunk % 4 == 0 { reader.readAhead([upcoming(0, chunk..<60)], ofStream: 1) }
      let part = bytes[Int(chunk) * mebi..<Int(chunk + 1) * mebi]
      #expect(isSame(try reader.read(chunk << 20..<(chunk + 1) << 20), part), "chunk \(chunk)")
      #expect(reader.statistics.memoryBytes <= settings.budgetBytes)
    }
    #expect(isOnceEach(store, 60))
  }

  @Test("Read-ahead goes on by itself as its reader makes room")
  func goesOn() throws {
    let bench = try CacheBench(["a.tar": testBytes(40 * mebi)])
    let store = try bench.store()
    let settings = CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: store, settings)
    reader.readAhead([upcoming(0, 0..<40)], ofStream: 1)
    for chunk in 0..<40 as Range<Int64> { _ = try reader.read(chunk << 20..<(chunk + 1) << 20) }
    #expect(isOnceEach(store, 40))
    // Few of them were waited for.
    let waitedFor = store.requests.count { $0.priority == .reader }
    #expect(waitedFor <= 10)
  }

  @Test("What lies ahead is not evicted for what is read now")
  func spared() throws {
    let bench = try CacheBench(["a.tar": testBytes(30 * mebi), "b.tar": testBytes(8 * mebi)])
    let store = try bench.store()
    let settings = CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: store, settings)
    reader.readAhead([upcoming(1, 0..<8)], ofStream: 1)
    #expect(eventually { reader.statistics.chunksFetched == 8 })
    for chunk in 0..<30 as Range<Int64> { _ = try reader.read(chunk << 20..<(chunk << 20) + 9) }
    #expect((0..<8 as Range<Int64>).allSatisfy { isHeld(reader, 1, $0) })
    #expect(chunks(store, "b.tar") == Array(0..<8))
  }

  @Test("What was fetched for a place that its reader has left makes room for the new place")
  func moved() throws {
    let bench = try CacheBench(["a.tar": testBytes(30 * mebi), "b.tar": testBytes(8 * mebi)])
    let store = try bench.store()
    let settings = CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: store, settings)
    reader.readAhead([upcoming(0, 0..<30)], ofStream: 1)
    #expect(eventually { reader.statistics.chunksFetched == 16 })
    reader.readAhead([upcoming(1, 0..<8)], ofStream: 1)
    #expect(eventually { (0..<8 as Range<Int64>).allSatisfy { isHeld(reader, 1, $0) } })
    #expect(reader.statistics.memoryBytes <= settings.budgetBytes)
  }

  @Test("Two streams are fetched for in turn")
  func turns() throws {
    let bench = try CacheBench(["a.tar": testBytes(16 * mebi), "b.tar": testBytes(16 * mebi)])
    let store = try bench.store { _, _ in .stall }
    var settings = CacheSettings(place: .memory, budgetBytes: 64 << 20)
    settings.maxFetchCount = 1
    let reader = try bench.reader(over: store, settings)
    reader.readAhead([upcoming(0, 0..<16)], ofStream: 1)
    reader.readAhead([upcoming(1, 0..<16)], ofStream: 2)
    for turn in 1..<8 {
      #expect(eventually { store.stalledCount == 1 })
      #expect(store.requests.count == turn)
      store.release()
      #expect(eventually { store.requests.count == turn + 1 })
    }
    #expect(store.requests.map(\.key) == (0..<8).map { $0 % 2 == 0 ? "a.tar" : "b.tar" })
    store.release()
  }

  @Test("A reader who comes for what is under way raises it, and asks for nothing itself")
  func raised() throws {
    let bench = try CacheBench(["a.tar": testBytes(8 * mebi)])
    let store = try bench.store { _, _ in .stall }
    let reader = try bench.reader(over: store)
    reader.readAhead([upcoming(0, 0..<4)], ofStream: 1)
    #expect(store.requests.count == 1)
    let waiters = [TestWaiter(), TestWaiter()]
    for waiter in waiters {
      reader.wait(forBytes: 1 << 20..<2 << 20, ofShard: 0, plane: .stored, waiter)
    }
    #expect(store.requests.count == 1)
    #expect(store.raisedCount == 1)
    store.release()
    for waiter in waiters { #expect(waiter.answer() != nil) }
  }

  @Test("A read-ahead that fails costs its reader nothing but the wait")
  func fails() throws {
    let bytes = testBytes(8 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let down = StoreError.unreachable(endpoint: "here", detail: "down")
    let store = try bench.store { _, request in
      request.priority == .readAhead ? .fail(down) : .none
    }
    let reader = try bench.reader(over: store)
    reader.readAhead([upcoming(0, 0..<8)], ofStream: 1)
    #expect(store.requests.count == 2)
    for chunk in 0..<8 as Range<Int64> {
      let part = bytes[Int(chunk) * mebi..<Int(chunk + 1) * mebi]
      #expect(isSame(try reader.read(chunk << 20..<(chunk + 1) << 20), part))
    }
  }

  @Test("A store that refuses everything at once is asked no deeper than the stack")
  func refusesAtOnce() throws {
    let bench = try CacheBench(["a.tar": testBytes(8 * mebi)])
    let store = try bench.store { _, _ in .fail(.cancelled) }
    let object = try #require(try bench.listing(store).first)
    let huge = ObjectInfo(key: object.key, sizeBytes: 1 << 40, eTag: object.eTag)
    let reader = try bench.reader(over: store, shards: [huge])
    reader.readAhead([upcoming(0, 0..<100_000)], ofStream: 1)
    #expect(store.requests.count == 25_000)
    #expect(reader.statistics.memoryBytes == 0)
  }

  @Test("A shard that can only be read whole is, once, however often it is announced")
  func whole() throws {
    let tar = TestShard.samples([Int](repeating: 250_000, count: 8))
    let bench = try CacheBench(["a.tar.zst": try Compressed.bytes(tar, .zstd)])
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    for _ in 0..<100 {
      reader.readAhead([ShardReader.Upcoming(shard: 0, range: nil)], ofStream: 1)
    }
    #expect(eventually { reader.index(ofShard: 0)?.isComplete == true })
    let count = store.requests.count
    let got = try reader.read(0..<Int64(mebi), plane: .inflated)
    #expect(isSame(got, tar[..<mebi]))
    #expect(store.requests.count == count)
    #expect(count == 2)
  }
}
