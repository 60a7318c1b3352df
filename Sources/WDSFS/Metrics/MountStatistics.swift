import FuseMount
import Instruments
import Remote
import SampleTree
import ShardCache

/// What `/.wdsfs/stats.json` says, and `wdsfs status` and the page for people read.
///
/// Numbers only grow, but for those that say how things are now; who wants rates looks twice.
struct MountStatistics: Codable, Sendable {
  let version: Int
  let uptimeSeconds: Double
  let reads: Reads
  let cache: Cache
  let store: Store
  let indexes: Indexes

  /// Nil of a mount by an earlier version.
  let process: Process?

  /// Those that were read in this mount.
  let ranks: [Rank]

  struct Reads: Codable, Sendable {
    /// From memory at once, and after a wait.
    let hits: Int
    let waits: Int
    let errors: Int
    let bytes: Int

    /// Requests that wait now.
    let waiting: Int
    let hitSeconds: Times
    let waitSeconds: Times
  }

  /// A distribution: so many took at most so long.
  struct Times: Codable, Sendable {
    /// Of each bucket, not cumulative; the bounds double from 4 µs, and the last has none.
    let counts: [Int]
    let sum: Double
  }

  struct Cache: Codable, Sendable {
    let budgetBytes: Int64
    let memoryBytes: Int64
    let diskBytes: Int64
    let chunksFetched: Int
    let chunksLoadedFromDisk: Int
    let evictions: Int
    let corruptChunks: Int
  }

  struct Store: Codable, Sendable {
    let requests: Int
    let inFlight: Int
    let inFlightLimit: Int
    let bytesReceived: Int64
    let retries: Int
    let retriesByCause: [String: Int]
    let throttled: Int
    let throttledSeconds: Double
    let isThrottled: Bool
    let failures: Int
    let requestSeconds: Times
  }

  struct Indexes: Codable, Sendable {
    let built: Int
    let loaded: Int
    let damagedShards: Int
  }

  /// What the mount's own process takes.
  struct Process: Codable, Sendable {
    /// Of processors, since it was started.
    let cpuSeconds: Double

    /// Nil where the system does not say.
    let memoryBytes: Int?
    let openFiles: Int?
  }

  struct Rank: Codable, Sendable {
    let split: String
    let rank: Int
    let epoch: Int

    /// The first position that is not consumed.
    let position: Int
    let consumed: Int

    /// The epoch's samples; nil while not all are counted.
    let length: Int?

    /// Samples that came to count as consumed in this mount.
    let samples: Int

    /// Requests that wait now.
    let waiting: Int

    /// Since its first read: for the network, for the store's throttle, and for its own reader.
    let networkSeconds: Double
    let throttleSeconds: Double
    let readerSeconds: Double
  }
}

extension MountStatistics {
  init(_ metrics: MountMetrics) {
    let now = metrics.snapshot
    version = ControlContents.version
    uptimeSeconds = now.uptimeSeconds
    reads = Reads(
      hits: now.reads.hits.count,
      waits: now.reads.misses.count,
      errors: now.reads.errors,
      bytes: now.reads.bytes,
      waiting: now.reads.waiting,
      hitSeconds: Times(now.reads.hits),
      waitSeconds: Times(now.reads.misses)
    )
    cache = Cache(
      budgetBytes: metrics.cache.settings.budgetBytes,
      memoryBytes: now.cache.memoryBytes,
      diskBytes: now.cache.diskBytes,
      chunksFetched: now.cache.chunksFetched,
      chunksLoadedFromDisk: now.cache.chunksLoadedFromDisk,
      evictions: now.cache.evictions,
      corruptChunks: now.cache.corruptChunks
    )
    store = Store(now.store, now.requestTimes)
    indexes = Indexes(
      built: now.cache.indexesBuilt,
      loaded: now.cache.indexesLoaded,
      damagedShards: now.cache.damagedShards
    )
    process = Process(
      cpuSeconds: ProcessUsage.cpuSeconds,
      memoryBytes: ProcessUsage.residentBytes,
      openFiles: ProcessUsage.openFileCount
    )
    ranks = now.ranks.map(Rank.init)
  }
}

extension MountStatistics.Times {
  init(_ value: HistogramValue) {
    counts = value.counts
    sum = value.seconds
  }
}

extension MountStatistics.Store {
  init(_ store: StoreStatistics, _ times: RequestTimes) {
    requests = store.requests
    inFlight = store.requestsInFlight
    inFlightLimit = store.requestLimit
    bytesReceived = store.bytesReceived
    retries = store.retries
    retriesByCause = Dictionary(
      uniqueKeysWithValues: RetryReason.allCases.map {
        ($0.rawValue, store.retriesByReason[$0] ?? 0)
      }
    )
    throttled = store.throttled
    throttledSeconds = MountMetrics.seconds(store.heldBackNanoseconds)
    isThrottled = store.isHoldingBack
    failures = store.failures
    requestSeconds = MountStatistics.Times(times.whole)
  }
}

extension MountStatistics.Rank {
  init(_ rank: ActiveRank) {
    split = rank.split
    self.rank = rank.rank
    epoch = rank.epoch
    position = rank.position
    consumed = rank.consumedCount
    length = rank.length
    samples = rank.servedCount
    waiting = rank.waitingCount
    networkSeconds = MountMetrics.seconds(rank.waits.networkNanoseconds)
    throttleSeconds = MountMetrics.seconds(rank.waits.throttleNanoseconds)
    readerSeconds = MountMetrics.seconds(rank.waits.readerNanoseconds)
  }
}
