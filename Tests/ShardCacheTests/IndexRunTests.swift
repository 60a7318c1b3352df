import Decompression
import Remote
import Synchronization
import TarIndex
import TestSupport
import Testing

@testable import ShardCache

private let mebi = 1 << 20

/// What came of each shard of a run.
private final class Outcomes: Sendable {
  private let found = Mutex<[Int: IndexRun.Outcome]>([:])

  func note(_ number: Int, _ outcome: IndexRun.Outcome) {
    found.withLock { $0[number] = outcome }
  }

  var all: [Int: IndexRun.Outcome] { found.withLock { $0 } }

  func index(_ number: Int) -> ShardIndex? {
    switch all[number] {
    case .known(let shard), .made(let shard): shard.index
    case .failed, nil: nil
    }
  }

  var knownCount: Int {
    all.values.count { if case .known = $0 { true } else { false } }
  }

  var madeCount: Int {
    all.values.count { if case .made = $0 { true } else { false } }
  }

  func failure(_ number: Int) -> CacheError? {
    if case .failed(let failure) = all[number] { failure } else { nil }
  }
}

@Suite(.timeLimit(.minutes(10))) struct IndexRunTests {
  private func run(
    _ bench: CacheBench,
    over store: FaultyStore,
    jobs: Int = 3,
    keeps: Bool = true
  ) throws -> IndexRun {
    IndexRun(
      store: store,
      shards: try bench.listing(store),
      directory: keeps ? try CacheDirectory(path: bench.cachePath) : nil,
      maxInflatedBytes: 1 << 30
    )
  }

  private func outcomes(
    _ run: IndexRun,
    _ numbers: [Int],
    isComplete: Bool = true
  ) -> Outcomes {
    let outcomes = Outcomes()
    #expect(run.run(numbers, jobs: 3) { outcomes.note($0, $1) } == isComplete)
    return outcomes
  }

  /// The index that a scan of all bytes at once gives, as it is kept.
  private func scanned(_ bytes: [UInt8]) -> [UInt8] {
    var scanner = TarScanner(objectBytes: Int64(bytes.count))
    bytes.withUnsafeBytes { scanner.feed($0, at: 0) }
    return scanner.snapshot().withSerialized { Array($0) }
  }

  @Test("Shards of small members are streamed, each byte once, and counted rightly")
  func streams() throws {
    let files = (0..<5).reduce(into: [String: [UInt8]]()) { files, number in
      files["\(number).tar"] = TestShard.samples([Int](repeating: 3000, count: 300 + number))
    }
    let bench = try CacheBench(files)
    let store = try bench.store(maxPieceBytes: 100_000)
    let run = try run(bench, over: store)
    let outcomes = outcomes(run, Array(0..<5))
    for number in 0..<5 {
      let index = try #require(outcomes.index(number))
      #expect(index.sampleCount == 300 + number)
      #expect(index.isComplete && index.damage == nil)
    }
    let bytes = files.values.reduce(0) { $0 + $1.count }
    #expect(store.requestedBytes <= Int64(bytes))
    #expect(run.walkedBytes == Int64(bytes))
  }

  @Test("A shard that is read alone has several requests under way, and each byte once")
  func severalRequests() throws {
    let bytes = TestShard.samples([Int](repeating: 50_000, count: 800))
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store(maxPieceBytes: 300_000)
    let index = try #require(outcomes(try run(bench, over: store), [0]).index(0))
    #expect(index.withSerialized { Array($0) } == scanned(bytes))
    #expect(store.requestedBytes <= Int64(bytes.count))
    // The first two find out that members are small, the others bring a piece each.
    let pieces = store.requests.dropFirst(2)
    #expect(pieces.count == (bytes.count - (64 << 10) - (1 << 20)) / (4 << 20) + 1)
  }

  @Test("Large members are jumped over: a request a member, and few bytes")
  func jumps() throws {
    let bytes = TestShard.samples([Int](repeating: 3_000_000, count: 12))
    let bench = try CacheBench(["a.tar": bytes])
    let store = try bench.store()
    let outcomes = outcomes(try run(bench, over: store), [0])
    let index = try #require(outcomes.index(0))
    #expect(index.sampleCount == 12)
    #expect(index.member(index.fieldOrdinals(ofSample: 11).lowerBound).sizeBytes == 3_000_000)
    #expect(store.requests.count <= 14)
    #expect(store.requestedBytes < 200_000)
  }

  @Test("Small and large members mixed give the index that any other way gives")
  func mixed() throws {
    var generator = SeededGenerator(seed: 7)
    for round in 0..<6 {
      let bodies = (0..<60).map { _ in
        generator.below(5) == 0 ? 1_200_000 + generator.below(2_000_000) : generator.below(40_000)
      }
      let bytes = TestShard.samples(bodies, seed: UInt64(round))
      let bench = try CacheBench(["a.tar": bytes])
      let store = try bench.store(maxPieceBytes: 300_000)
      let index = try #require(outcomes(try run(bench, over: store), [0]).index(0))
      #expect(index.withSerialized { Array($0) } == scanned(bytes), "round \(round)")
    }
  }

  @Test("Compressed shards and those without ranges are read from front to back")
  func whole() throws {
    let tar = TestShard.samples([Int](repeating: 20_000, count: 200))
    var files = ["plain.tar": tar]
    for format in CompressionFormat.allCases {
      files["\(format).tar"] = try Compressed.bytes(tar, format)
    }
    for acceptsRanges in [true, false] {
      let bench = try CacheBench(files, acceptsRanges: acceptsRanges)
      let store = try bench.store(maxPieceBytes: 90_000)
      let outcomes = outcomes(try run(bench, over: store), Array(0..<files.count))
      for number in 0..<files.count {
        #expect(outcomes.index(number)?.sampleCount == 200)
        #expect(outcomes.index(number)?.objectBytes == Int64(tar.count))
      }
    }
  }

  @Test("A run that is stopped keeps what is done, and the next goes on there")
  func resumes() throws {
    let files = (0..<6).reduce(into: [String: [UInt8]]()) { files, number in
      files["\(number).tar"] = TestShard.samples([Int](repeating: 500, count: 20))
    }
    let bench = try CacheBench(files)
    let stalling = try bench.store { number, request in
      request.object.key == ObjectKey("4.tar") ? .stall : .none
    }
    let first = try run(bench, over: stalling)
    let outcomes = Outcomes()
    WorkerThread.start(name: "stop") {
      _ = eventually { outcomes.all.count == 5 }
      first.stop()
    }
    #expect(!first.run(Array(0..<6), jobs: 2) { outcomes.note($0, $1) })
    #expect(outcomes.madeCount == 5)
    let store = try bench.store()
    let again = self.outcomes(try run(bench, over: store), Array(0..<6))
    #expect(again.knownCount == 5)
    #expect(again.madeCount == 1)
    #expect(Set(store.requests.map(\.key)) == ["4.tar"])
    // A mount of the same machine asks for nothing either.
    let quiet = try bench.store()
    let reader = try bench.reader(over: quiet, keepsIndexes: true)
    #expect(try reader.index(upTo: .max, ofShard: 3).sampleCount == 20)
    #expect(quiet.requests.isEmpty)
  }

  @Test("A shard that cannot be read does not keep the others from it")
  func failures() throws {
    let files = (0..<4).reduce(into: [String: [UInt8]]()) { files, number in
      files["\(number).tar"] = TestShard.samples([10, 20])
    }
    let bench = try CacheBench(files)
    let store = try bench.store { _, request in
      request.object.key == ObjectKey("2.tar")
        ? .fail(.noSuchObject(key: request.object.key)) : .none
    }
    let outcomes = outcomes(try run(bench, over: store), Array(0..<4))
    #expect(outcomes.madeCount == 3)
    guard case .fetch(_, _, .noSuchObject) = try #require(outcomes.failure(2)) else {
      Issue.record("another failure")
      return
    }
  }

  @Test("A damaged shard is indexed up to the damage, but not kept; no tar at all gives no sample")
  func damaged() throws {
    var bytes = TestShard.samples([1000, 1000, 1000])
    let third = 512 + 1024 + 1024 + 512 + 1024 + 1024
    bytes[third + 150] ^= 0xFF
    let bench = try CacheBench(["a.tar": bytes, "b.tar": testBytes(100), "c.tar": []])
    for _ in 0..<2 {
      let outcomes = outcomes(try run(bench, over: try bench.store()), [0, 1, 2])
      #expect(outcomes.madeCount == 3)
      #expect(outcomes.index(0)?.damage?.errorClass == .badChecksum)
      #expect(outcomes.index(0)?.sampleCount == 1)
      #expect(outcomes.index(1)?.damage?.errorClass == .notTar)
      #expect(outcomes.index(2)?.damage?.errorClass == .empty)
    }
  }
}
