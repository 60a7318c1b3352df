import Benchmark
import Logging
import Remote
import ShardCache
import Synchronization
import TestSupport

/// A shard of zeros in a folder, wholly in a cache in memory.
private final class FilledCache: Sendable {
  static let shardBytes = 32 << 20
  private let folder: TemporaryDirectory
  private let store: DirectoryStore
  let reader: ShardReader

  init() throws {
    folder = try TemporaryDirectory()
    try folder.write([UInt8](repeating: 0, count: Self.shardBytes), to: "a.tar")
    store = try DirectoryStore(path: folder.path)
    var shards: [ObjectInfo] = []
    try store.list { (page) throws(StoreError) in shards += page }
    reader = ShardReader(
      store: store,
      shards: shards,
      settings: CacheSettings(place: .memory, budgetBytes: Int64(4 * Self.shardBytes)),
      directory: nil,
      logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }
    )
    for start in stride(from: 0, to: Int64(Self.shardBytes), by: 1 << 20) {
      let waiter = Waiter()
      reader.wait(forBytes: start..<start + 1 << 20, ofShard: 0, plane: .stored, waiter)
      waiter.signal.wait()
    }
  }

  deinit {
    reader.shutDown()
    store.shutDown()
  }
}

private final class Waiter: CacheWaiter {
  let signal = ReadySignal()

  func cacheAnswered(_ failure: CacheError?) {
    signal.signal()
  }
}

func cacheBenchmarks() {
  for (name, byteCount) in [("2 KB", Int64(2_000)), ("100 KB", 100_000)] {
    Benchmark(
      "cache: a hit of \(name), not copied",
      configuration: .init(scalingFactor: .kilo)
    ) { benchmark, cache in
      var start: Int64 = 0
      for _ in benchmark.scaledIterations {
        let sum = cache.reader.withBytes(start..<start + byteCount, ofShard: 0, plane: .stored) {
          $0.count + $1.count
        }
        precondition(sum == Int(byteCount), "the cache holds the whole shard")
        start = (start + 104_729) % (Int64(FilledCache.shardBytes) - byteCount)
      }
    } setup: {
      try FilledCache()
    }
  }
}
