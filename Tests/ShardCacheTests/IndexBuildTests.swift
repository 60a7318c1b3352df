import Remote
import TarIndex
import TestSupport
import Testing

@testable import ShardCache

private let mebi = 1 << 20

@Suite(.timeLimit(.minutes(10))) struct IndexBuildTests {
  private static let small = [Int](repeating: 3000, count: 3000)

  /// Bytes that were asked for more than once.
  private func repeated(_ store: FaultyStore) -> Int64 {
    var sum: Int64 = 0
    var end: Int64 = 0
    for request in store.requests.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
      sum += max(0, min(end, request.range.upperBound) - request.range.lowerBound)
      end = max(end, request.range.upperBound)
    }
    return sum
  }

  @Test("The first sample is known long before the shard is whole")
  func firstSample() throws {
    let bench = try CacheBench(["a.tar": TestShard.samples(Self.small)])
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    let index = try reader.index(upTo: 0)
    #expect(!index.isComplete)
    #expect(index.sampleCount > 10)
    #expect(store.requestedBytes <= 2 * Int64(mebi))
  }

  @Test("A shard of small members is streamed, each byte once")
  func streamed() throws {
    let bytes = TestShard.samples(Self.small)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    let index = try reader.index(upTo: .max)
    #expect(index.isComplete)
    #expect(index.sampleCount == 3000)
    #expect(index.damage == nil)
    #expect(repeated(store) == 0)
    // How many chunks one brings depends on how far the scan is behind; a chunk at least.
    #expect(store.requests.count <= 1 + bytes.count / mebi)
    #expect(reader.statistics.indexesBuilt == 1)
  }

  @Test("Where only the count is wanted, large bodies are jumped over")
  func hops() throws {
    let bodies = [Int](repeating: 4_000_000, count: 16)
    let bytes = TestShard.samples(bodies)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let reader = try bench.reader(over: store)
    let index = try reader.index(upTo: .max)
    #expect(index.sampleCount == 16)
    #expect(index.member(index.fieldOrdinals(ofSample: 15).lowerBound).sizeBytes == 4_000_000)
    #expect(store.requestedBytes < 2 * Int64(mebi))
    #expect(store.requests.count <= 20)
  }

  @Test("An index grows from what is read for others, and asks for nothing itself")
  func passingBy() throws {
    let bytes = TestShard.samples(Self.small)
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store(maxPieceBytes: 50_000)
    let reader = try bench.reader(over: store)
    reader.beginIndex(ofShard: 0)
    var start: Int64 = 0
    while start < bytes.count {
      _ = try reader.read(start..<min(Int64(bytes.count), start + Int64(mebi)))
      start += Int64(mebi)
    }
    #expect(eventually { reader.index(ofShard: 0)?.isComplete == true })
    #expect(reader.index(ofShard: 0)?.sampleCount == 3000)
    #expect(store.requestedBytes == Int64(bytes.count))
    #expect(repeated(store) == 0)
  }

  @Test("Many who wait for different samples are all told, each when theirs is known")
  func manyWaiters() throws {
    let bench = try CacheBench(["a.tar": TestShard.samples(Self.small)])
    let store = try bench.store(maxPieceBytes: 200_000)
    let reader = try bench.reader(
      over: store,
      CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    )
    onThreads(6) { thread in
      var generator = SeededGenerator(seed: UInt64(thread))
      for _ in 0..<30 {
        let sample = generator.below(3100)
        do {
          let index = try reader.index(upTo: sample)
          #expect(index.isComplete || sample < index.sampleCount)
        } catch {
          Issue.record("thread \(thread), sample \(sample): \(error)")
        }
      }
    }
    #expect(reader.statistics.indexesBuilt <= 1)
  }

  @Test("An index that was made is there for the next mount, which asks the store for nothing")
  func kept() throws {
    let bench = try CacheBench(["a.tar": TestShard.samples(Self.small)])
    let first = try bench.reader(over: try bench.store(), keepsIndexes: true)
    _ = try first.index(upTo: .max)
    bench.end(first)
    let store = try bench.store()
    let second = try bench.reader(over: store, keepsIndexes: true)
    #expect(try second.index(upTo: .max).sampleCount == 3000)
    #expect(store.requests.isEmpty)
    #expect(second.statistics.indexesLoaded == 1)
    #expect(second.statistics.indexesBuilt == 0)
  }

  @Test("A kept index that does not fit the object is made anew")
  func keptOfOtherSize() throws {
    let bench = try CacheBench(["a.tar": TestShard.samples([10, 20])])
    let store = try bench.store()
    let identity = try bench.reader(over: store).identities[0]
    let other = TestShard.samples([Int](repeating: 5, count: 50))
    var scanner = TarScanner(objectBytes: Int64(other.count))
    other.withUnsafeBytes { scanner.feed($0, at: 0) }
    let directory = try CacheDirectory(path: bench.cachePath)
    // Before the reader that uses it, which begins by clearing temporary files away.
    let file = IndexFile(directory: directory, identity: identity)
    #expect(file.store(scanner.snapshot(), isInflated: false))
    let reader = try bench.reader(over: store, keepsIndexes: true)
    #expect(try reader.index(upTo: .max).sampleCount == 2)
    #expect(reader.statistics.indexesBuilt == 1)
  }

  @Test("A damaged tar gives the samples before the damage, or under --strict an error")
  func damaged() throws {
    var bytes = TestShard.samples([1000, 1000, 1000])
    let third = 512 + 1024 + 1024 + 512 + 1024 + 1024
    bytes[third + 150] ^= 0xFF
    let bench = try CacheBench(["a.tar": bytes])
    let reader = try bench.reader(over: try bench.store())
    let index = try reader.index(upTo: .max)
    #expect(index.damage?.errorClass == .badChecksum)
    #expect(index.damage?.offset == Int64(third))
    #expect(reader.statistics.damagedShards == 1)
    var settings = CacheSettings(place: .memory, budgetBytes: 64 << 20)
    settings.isStrict = true
    let strict = try bench.reader(over: try bench.store(), settings)
    #expect(throws: CacheError.self) { try strict.index(upTo: .max) }
    #expect(strict.lastingFailure(ofShard: 0) != nil)
  }

  @Test("What is no tar, or nothing at all, has an index that says so")
  func noTar() throws {
    let bench = try CacheBench([
      "a.tar": [], "b.tar": testBytes(2 * mebi), "c.tar": testBytes(100),
    ])
    let reader = try bench.reader(over: try bench.store(), keepsIndexes: true)
    for shard in 0..<3 {
      let index = try reader.index(upTo: .max, ofShard: shard)
      #expect(index.isComplete)
      #expect(index.sampleCount == 0)
      #expect(index.damage != nil, "shard \(shard)")
    }
  }

  @Test("A failure on the way fails who waits, and the next who asks succeeds")
  func failure() throws {
    let down = StoreError.unreachable(endpoint: "here", detail: "down")
    let bench = try CacheBench(["a.tar": TestShard.samples([4_000_000, 4_000_000, 4_000_000])])
    for failing in 0..<4 {
      let store = try bench.store { number, _ in number == failing ? .fail(down) : .none }
      let reader = try bench.reader(over: store)
      #expect(throws: CacheError.self, "request \(failing)") { try reader.index(upTo: .max) }
      #expect(try reader.index(upTo: .max).sampleCount == 3)
    }
  }

  @Test("An index is made in the smallest cache while others read all the time")
  func underPressure() throws {
    let bytes = TestShard.samples(Self.small + Self.small)
    let bench = try CacheBench(["a.tar": bytes, "b.tar": testBytes(30 * mebi)])
    let reader = try bench.reader(
      over: try bench.store(),
      CacheSettings(place: .memory, budgetBytes: CacheSettings.minBudgetBytes)
    )
    onThreads(3) { thread in
      var generator = SeededGenerator(seed: UInt64(thread))
      do {
        if thread == 0 {
          #expect(try reader.index(upTo: .max).sampleCount == 6000)
          return
        }
        for _ in 0..<60 {
          let start = Int64(generator.below(29 * mebi))
          _ = try reader.read(start..<start + 1000, ofShard: 1)
        }
      } catch {
        Issue.record("thread \(thread): \(error)")
      }
    }
    #expect(reader.statistics.memoryBytes <= CacheSettings.minBudgetBytes)
  }
}
