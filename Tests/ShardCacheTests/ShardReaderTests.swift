import Glibc
import Remote
import TestSupport
import Testing

@testable import ShardCache

private let mebi = 1 << 20

@Suite(.timeLimit(.minutes(10))) struct ShardReaderTests {
  /// Where a span may lie in chunks of 1 MiB, in an object of three and a half.
  static let spans: [Range<Int64>] = [
    0..<1, 0..<512, 100..<(1 << 20), (1 << 20) - 1..<1 << 20, (1 << 20) - 1..<(1 << 20) + 1,
    1 << 20..<2 << 20, (1 << 20) + 5..<(2 << 20) + 5, 3 << 20..<(3 << 20) + (1 << 19),
    (3 << 20) + (1 << 19) - 1..<(3 << 20) + (1 << 19), (5 << 19)..<(7 << 19),
  ]

  @Test(
    "A read asks for the chunks that it lacks and for no others",
    arguments: spans,
    [[], [0], [1], [2], [3], [0, 1], [1, 2], [2, 3], [0, 1, 2, 3]] as [[Int64]]
  )
  func requests(span: Range<Int64>, cached: [Int64]) throws {
    let bytes = testBytes(7 << 19)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    for chunk in cached { _ = try reader.read(chunk << 20..<(chunk << 20) + 1) }
    _ = eventually { store.requestedBytes == store.statistics.bytesReceived }
    let before = store.requests.count
    #expect(isSame(try reader.read(span), bytes[Int(span.lowerBound)..<Int(span.upperBound)]))
    let touched = (span.lowerBound >> 20)...((span.upperBound - 1) >> 20)
    let missing = touched.filter { !cached.contains($0) }
    var expected: [Range<Int64>] = []
    for chunk in missing {
      let range = chunk << 20..<min(Int64(bytes.count), (chunk + 1) << 20)
      if expected.last?.upperBound == range.lowerBound, let last = expected.popLast() {
        expected.append(last.lowerBound..<range.upperBound)
      } else {
        expected.append(range)
      }
    }
    #expect(store.requests[before...].map(\.range) == expected)
    // All of it is there now, and asking again asks nobody.
    #expect(reader.bytesAtHand(span) != nil)
    #expect(store.requests.count == before + expected.count)
  }

  @Test("A chunk that is read while it comes is given as soon as the part is there")
  func partial() throws {
    let bytes = testBytes(mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store(maxPieceBytes: 4096)
    let reader = try bench.reader(over: store)
    for end in stride(from: 1, to: mebi, by: 70_001) {
      #expect(isSame(try reader.read(0..<Int64(end)), bytes[..<end]))
    }
    #expect(store.requests.count == 1)
  }

  @Test(
    "Many readers of one chunk share one request",
    arguments: [CacheSettings.Place.memory, .disk]
  )
  func singleFlight(place: CacheSettings.Place) throws {
    let bytes = testBytes(3 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store { number, _ in number == 0 ? .stall : .none }
    let reader = try bench.reader(
      over: store,
      CacheSettings(place: place, budgetBytes: 64 << 20)
    )
    let waiters = (0..<100).map { TestWaiter($0) }
    for waiter in waiters {
      let start = Int64(waiter.name) * 1000
      reader.wait(forBytes: start..<start + 1000, ofShard: 0, plane: .stored, waiter)
    }
    #expect(eventually { store.stalledCount == 1 })
    #expect(waiters.allSatisfy { $0.answers.isEmpty })
    store.release()
    for waiter in waiters {
      let answer = try #require(waiter.answer())
      #expect(answer == nil)
    }
    #expect(waiters.allSatisfy { $0.answers.count == 1 })
    #expect(store.requests.count == 1)
  }

  @Test("What was read is read again without the store", arguments: [true, false])
  func onDisk(isKept: Bool) throws {
    let bytes = testBytes(5 * mebi + 77)
    let bench = try CacheBench(["a.tar": bytes])
    let settings = CacheSettings(place: .disk, budgetBytes: 64 << 20)
    let store = try bench.store()
    let first = try bench.reader(over: store, settings)
    for chunk in 0..<6 as Range<Int64> {
      let end = min(Int64(bytes.count), (chunk + 1) << 20)
      _ = try first.read(chunk << 20..<end)
    }
    #expect(store.requestedBytes == Int64(bytes.count))
    bench.end(first)
    let other = try bench.store()
    if !isKept {
      // The same bytes under another ETag are another object.
      try bench.folder.setModified("data/a.tar", seconds: 1_600_000_000)
    }
    let second = try bench.reader(over: other, settings)
    for chunk in 0..<6 as Range<Int64> {
      let range = chunk << 20..<min(Int64(bytes.count), (chunk + 1) << 20)
      let expected = bytes[Int(range.lowerBound)..<Int(range.upperBound)]
      #expect(isSame(try second.read(range), expected))
    }
    #expect(other.requests.isEmpty == isKept)
    #expect(second.statistics.chunksLoadedFromDisk == (isKept ? 6 : 0))
  }

  @Test("Samples read by themselves from disk, by several at once while files go, are right")
  func partsFromDisk() throws {
    let bytes = testBytes(60 * mebi + 4321)
    let bench = try CacheBench(["a.tar": bytes])
    // More chunks than memory has places for.
    let settings = CacheSettings(place: .disk, budgetBytes: 128 << 20, maxFetchCount: 1)
    let store = try bench.store()
    let reader = try bench.reader(over: store, settings)
    for chunk in 0..<60 as Range<Int64> { _ = try reader.read(chunk << 20..<(chunk + 1) << 20) }
    #expect(eventually { reader.statistics.diskBytes > 60 << 20 })
    let directory = try CacheDirectory(path: bench.cachePath)
    onThreads(4) { thread in
      var generator = SeededGenerator(seed: UInt64(thread))
      for step in 0..<500 {
        let start = Int64(generator.below(bytes.count - 200_000))
        let sample = start..<start + 1 + Int64(generator.below(200_000))
        let field = sample.lowerBound + Int64(sample.count) / 2..<sample.upperBound
        if generator.below(3) > 0 { reader.bringNear(sample, ofShard: 0) }
        for range in [field, sample] {
          let expected = bytes[Int(range.lowerBound)..<Int(range.upperBound)]
          guard let read = try? reader.read(range) else {
            Issue.record("\(range) cannot be read")
            return
          }
          #expect(isSame(read, expected), "\(range)")
        }
        if thread == 0, step % 50 == 0 {
          forEachName(in: directory.chunks) { folder in
            unlinkat(directory.chunks, "\(folder)/\(generator.below(60))", 0)
          }
        }
      }
    }
    #expect(reader.statistics.corruptChunks == 0)
    #expect(reader.statistics.chunksLoadedFromDisk > 1000)
  }

  @Test("A damaged chunk on disk is fetched again, and the reader gets the right bytes")
  func damagedOnDisk() throws {
    let bytes = testBytes(2 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let settings = CacheSettings(place: .disk, budgetBytes: 64 << 20)
    let first = try bench.reader(over: try bench.store(), settings)
    _ = try first.read(0..<1)
    _ = try first.read(1 << 20..<2 << 20)
    // The end of a mount waits for writes, but not for ever.
    #expect(eventually { first.statistics.diskBytes > 2 << 20 })
    bench.end(first)
    let directory = try CacheDirectory(path: bench.cachePath)
    forEachName(in: directory.chunks) { folder in
      let file = openat(directory.chunks, "\(folder)/0", O_RDWR)
      _ = [UInt8(0x5A)].withUnsafeBytes { pwrite(file, $0.baseAddress, 1, 5000) }
      close(file)
    }
    let store = try bench.store()
    let second = try bench.reader(over: store, settings)
    #expect(isSame(try second.read(0..<Int64(mebi)), bytes[..<mebi]))
    #expect(isSame(try second.read(1 << 20..<2 << 20), bytes[mebi...]))
    #expect(store.requests.map(\.range) == [0..<1 << 20])
    #expect(second.statistics.corruptChunks == 1)
  }

  @Test(
    "Random reads by many threads over a cache smaller than the data give every byte right",
    arguments: [CacheSettings.Place.memory, .disk],
    [nil, 30_000] as [Int?]
  )
  func randomReads(place: CacheSettings.Place, maxPieceBytes: Int?) throws {
    let files = Dictionary(
      uniqueKeysWithValues: (0..<4).map { number in
        ("\(number).tar", testBytes(9 * mebi + number * 333_333, seed: UInt64(number) + 1))
      }
    )
    let bench = try CacheBench(files)
    let store = try bench.store(maxPieceBytes: maxPieceBytes)
    let settings = CacheSettings(place: place, budgetBytes: CacheSettings.minBudgetBytes)
    let reader = try bench.reader(over: store, settings)
    onThreads(8) { thread in
      var generator = SeededGenerator(seed: UInt64(thread) + 100)
      for step in 0..<40 {
        let shard = generator.below(4)
        guard let bytes = files["\(shard).tar"] else { continue }
        let start = generator.below(bytes.count)
        let end = min(bytes.count, start + 1 + generator.below(mebi))
        do {
          let got = try reader.read(Int64(start)..<Int64(end), ofShard: shard)
          #expect(isSame(got, bytes[start..<end]), "thread \(thread), step \(step)")
        } catch {
          Issue.record("thread \(thread), step \(step): \(error)")
        }
        #expect(reader.statistics.diskBytes <= settings.budgetBytes)
        if place == .memory { #expect(reader.statistics.memoryBytes <= settings.budgetBytes) }
      }
    }
    // Chunks go to disk, and others from there, behind the readers' backs.
    #expect(eventually { reader.statistics.evictions > 0 })
  }

  @Test("A thousand readers of as many chunks as there is no room for are all answered")
  func crowd() throws {
    let bytes = testBytes(40 * mebi)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let reader = try bench.reader(
      over: store,
      CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    )
    let readers = (0..<1000).map { number in
      let start = Int64(number % 39) << 20 + 1000
      return PersistentReader(reader, start..<start + Int64(mebi) - 2000 + Int64(number % 5) * 1000)
    }
    for one in readers { one.ask() }
    #expect(eventually { readers.allSatisfy(\.isDone) })
    #expect(readers.allSatisfy { $0.failure == nil })
    #expect(reader.statistics.memoryBytes <= CacheSettings.minBudgetBytes)
  }

  @Test("A range beyond the shard is an error and harms nobody")
  func beyond() throws {
    let bench = try CacheBench(["a.tar": testBytes(1000)])
    let reader = try bench.reader(over: try bench.store())
    for range in [0..<1001, 1000..<2000, Int64.max - 5..<Int64.max] as [Range<Int64>] {
      #expect(throws: CacheError.self) { try reader.read(range) }
    }
    #expect(throws: CacheError.self) { try reader.read(0..<10, plane: .inflated) }
  }

  @Test("A shard of a size that no store has is refused", arguments: [-1, 1 << 51, Int64.max])
  func absurdSize(sizeBytes: Int64) throws {
    let bench = try CacheBench(["a.tar": testBytes(1000)])
    let store = try bench.store()
    let object = try #require(try bench.listing(store).first)
    let absurd = ObjectInfo(key: object.key, sizeBytes: sizeBytes, eTag: object.eTag)
    let reader = try bench.reader(over: store, shards: [absurd])
    #expect(throws: CacheError.self) { try reader.read(0..<10) }
    #expect(throws: CacheError.self) { try reader.index(upTo: 0) }
    reader.readAhead([ShardReader.Upcoming(shard: 0, range: 0..<1000)], ofStream: 0)
    #expect(store.requests.count <= 1)
  }
}

/// Asks until it has read its range, from whatever thread it is told on, as a mount's request does.
final class PersistentReader: CacheWaiter {
  private let reader: ShardReader
  private let range: Range<Int64>
  private let answer = TestWaiter()

  init(_ reader: ShardReader, _ range: Range<Int64>) {
    self.reader = reader
    self.range = range
  }

  func ask() {
    let isServed = reader.withBytes(range, ofShard: 0, plane: .stored) { _, _ in true }
    if isServed == true { return answer.cacheAnswered(nil) }
    reader.wait(forBytes: range, ofShard: 0, plane: .stored, self)
  }

  func cacheAnswered(_ failure: CacheError?) {
    if let failure { return answer.cacheAnswered(failure) }
    ask()
  }

  var isDone: Bool { !answer.answers.isEmpty }
  var failure: CacheError? { answer.answers.first ?? nil }
}
