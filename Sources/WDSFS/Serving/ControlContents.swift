import FoundationEssentials
import Glibc
import Remote
import SampleOrder
import SampleTree
import ShardCache

/// What the files in `/.wdsfs` say.
struct ControlContents: Sendable {
  let settings: MountSettings
  let remote: String
  let dataset: Dataset
  let cache: ShardReader
  let store: any ObjectStore
  let run: TrainingRun
  let events: EventLog
  private let startedAt = ContinuousClock.now

  init(
    settings: MountSettings,
    remote: String,
    dataset: Dataset,
    cache: ShardReader,
    store: any ObjectStore,
    run: TrainingRun,
    events: EventLog
  ) {
    self.settings = settings
    self.remote = remote
    self.dataset = dataset
    self.cache = cache
    self.store = store
    self.run = run
    self.events = events
  }

  var files: [ControlFiles.File] {
    [
      ControlFiles.File(name: "config.json") { json(configuration) },
      ControlFiles.File(name: "stats.json") { json(statistics) },
      ControlFiles.File(name: "log") { events.bytes },
      ControlFiles.File(name: "cursor.json", isPrivate: true, takesCursors: true) {
        run.cursor().encoded()
      },
    ]
  }

  /// The format's version: a field that changes its meaning raises it, a new one does not.
  private static let version = 1

  private struct Configuration: Encodable {
    let version: Int
    let pid: Int32
    let program: String
    let remote: String
    let mountpoint: String
    let worldSize: Int
    let rank: Int?
    let shuffle: String
    let seed: UInt64
    let names: String
    let splits: [Split]
    let cachePlace: String
    let cacheDirectory: String?
    let cacheBytes: Int64
    let maxWorkers: Int
    let strict: Bool
    let skipUnreadable: Bool

    struct Split: Encodable {
      let name: String
      let shards: Int
      let bytes: Int64
    }
  }

  private var configuration: Configuration {
    let cursor = run.cursor()
    return Configuration(
      version: Self.version,
      pid: getpid(),
      program: "wdsfs \(Version.text)",
      remote: remote,
      mountpoint: settings.mountPoint,
      worldSize: settings.worldSize.size,
      rank: settings.worldSize.onlyRank,
      shuffle: cursor.shuffle.rawValue,
      seed: cursor.seed,
      names: settings.names.rawValue,
      splits: dataset.splits.map { split in
        Configuration.Split(
          name: split.name.description,
          shards: split.shards.count,
          bytes: split.shards.reduce(0) { $0 &+ dataset.shards[$1].sizeBytes }
        )
      },
      cachePlace: cache.settings.place == .disk ? "disk" : "memory",
      cacheDirectory: cacheDirectory,
      cacheBytes: cache.settings.budgetBytes,
      maxWorkers: settings.maxWorkers,
      strict: settings.isStrict,
      skipUnreadable: settings.skipsUnreadable
    )
  }

  private var cacheDirectory: String? {
    if case .directory(let path) = settings.cachePlace { path } else { nil }
  }

  private struct Statistics: Encodable {
    let version: Int
    let uptimeSeconds: Double
    let reads: Reads
    let cache: Cache
    let store: Store
    let indexes: Indexes

    struct Reads: Encodable {
      let hits: Int
      let waits: Int
      let bytes: Int64
    }

    struct Cache: Encodable {
      let budgetBytes: Int64
      let memoryBytes: Int64
      let diskBytes: Int64
      let chunksFetched: Int
      let chunksLoadedFromDisk: Int
      let evictions: Int
      let corruptChunks: Int
    }

    struct Store: Encodable {
      let requests: Int
      let inFlight: Int
      let bytesReceived: Int64
      let retries: Int
      let throttled: Int
      let failures: Int
    }

    struct Indexes: Encodable {
      let built: Int
      let loaded: Int
      let damagedShards: Int
    }
  }

  private var statistics: Statistics {
    let now = cache.statistics
    let stored = store.statistics
    let uptime = startedAt.duration(to: .now) / .milliseconds(1)
    return Statistics(
      version: Self.version,
      uptimeSeconds: (uptime.rounded()) / 1000,
      reads: Statistics.Reads(hits: now.hits, waits: now.waits, bytes: now.bytesServed),
      cache: Statistics.Cache(
        budgetBytes: cache.settings.budgetBytes,
        memoryBytes: now.memoryBytes,
        diskBytes: now.diskBytes,
        chunksFetched: now.chunksFetched,
        chunksLoadedFromDisk: now.chunksLoadedFromDisk,
        evictions: now.evictions,
        corruptChunks: now.corruptChunks
      ),
      store: Statistics.Store(
        requests: stored.requests,
        inFlight: stored.requestsInFlight,
        bytesReceived: stored.bytesReceived,
        retries: stored.retries,
        throttled: stored.throttled,
        failures: stored.failures
      ),
      indexes: Statistics.Indexes(
        built: now.indexesBuilt,
        loaded: now.indexesLoaded,
        damagedShards: now.damagedShards
      )
    )
  }

  private func json(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // What is encoded is ours and of plain types, so it always can be.
    guard let data = try? encoder.encode(value) else { return Array("{}\n".utf8) }
    return Array(data) + Array("\n".utf8)
  }
}
