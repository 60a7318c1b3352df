import FuseMount
import Glibc
import Instruments
import Remote
import SampleTree
import ShardCache

/// Reads what every floor of a mount has counted, all at once, when somebody asks.
struct MountMetrics: Sendable {
  let remote: String
  let mountPoint: String
  let cache: ShardReader
  let store: any ObjectStore
  let run: TrainingRun
  let reads: ReadMeters

  /// What is counted through swift-metrics.
  let registry: MetricRegistry

  private let startedAt = MonotonicTime.now

  init(
    remote: String,
    mountPoint: String,
    cache: ShardReader,
    store: any ObjectStore,
    run: TrainingRun,
    reads: ReadMeters,
    registry: MetricRegistry
  ) {
    self.remote = remote
    self.mountPoint = mountPoint
    self.cache = cache
    self.store = store
    self.run = run
    self.reads = reads
    self.registry = registry
  }

  /// Everything at one moment, or nearly so.
  struct Snapshot {
    let uptimeSeconds: Double
    let reads: ReadStatistics
    let cache: CacheStatistics
    let store: StoreStatistics
    let requestTimes: RequestTimes
    let ranks: [ActiveRank]
  }

  var snapshot: Snapshot {
    let store = store.statistics
    return Snapshot(
      uptimeSeconds: Double(startedAt.nanosecondsToNow / 1_000_000) / 1000,
      reads: reads.value,
      cache: cache.statistics,
      store: store,
      requestTimes: self.store.requestTimes,
      ranks: run.activeRanks(heldBack: store.heldBackNanoseconds)
    )
  }

  /// As Prometheus text.
  var text: [UInt8] {
    PrometheusText.render(families(snapshot) + registry.families + ProcessUsage.families)
  }

  // MARK: Families

  private func families(_ now: Snapshot) -> [MetricFamily] {
    mount(now) + reads(now.reads) + cache(now.cache) + requests(now) + ranks(now.ranks)
  }

  private func mount(_ now: Snapshot) -> [MetricFamily] {
    let labels = [
      MetricFamily.Label("version", Version.text), MetricFamily.Label("remote", remote),
      MetricFamily.Label("mountpoint", mountPoint),
    ]
    return [
      MountMetric.mountInfo.family([MetricFamily.Series(.count(1), labels: labels)]),
      MountMetric.uptime.family(.number(now.uptimeSeconds)),
    ]
  }

  private func reads(_ reads: ReadStatistics) -> [MetricFamily] {
    [
      MountMetric.reads.family(
        by: "result",
        [
          ("hit", .count(reads.hits.count)), ("miss", .count(reads.misses.count)),
          ("error", .count(reads.errors)),
        ]
      ),
      MountMetric.readBytes.family(.count(reads.bytes)),
      MountMetric.readSeconds.family(
        by: "result",
        [("hit", .times(reads.hits)), ("miss", .times(reads.misses))]
      ),
      MountMetric.requestsWaiting.family(.count(reads.waiting)),
    ]
  }

  private func cache(_ now: CacheStatistics) -> [MetricFamily] {
    [
      MountMetric.cacheBudget.family(.count(Int(cache.settings.budgetBytes))),
      MountMetric.cacheUsed.family(
        by: "place",
        [("memory", .count(Int(now.memoryBytes))), ("disk", .count(Int(now.diskBytes)))]
      ),
      MountMetric.cacheChunks.family(
        by: "source",
        [("remote", .count(now.chunksFetched)), ("disk", .count(now.chunksLoadedFromDisk))]
      ),
      MountMetric.cacheEvictions.family(.count(now.evictions)),
      MountMetric.corruptChunks.family(.count(now.corruptChunks)),
      MountMetric.indexes.family(
        by: "source",
        [("built", .count(now.indexesBuilt)), ("loaded", .count(now.indexesLoaded))]
      ),
      MountMetric.damagedShards.family(.count(now.damagedShards)),
    ]
  }

  private func requests(_ now: Snapshot) -> [MetricFamily] {
    let store = now.store
    return [
      MountMetric.gets.family(.count(store.requests)),
      MountMetric.getBytes.family(.count(Int(store.bytesReceived))),
      MountMetric.getSeconds.family(.times(now.requestTimes.whole)),
      MountMetric.getFirstByteSeconds.family(.times(now.requestTimes.firstByte)),
      MountMetric.getsInFlight.family(.count(store.requestsInFlight)),
      MountMetric.getLimit.family(.count(store.requestLimit)),
      MountMetric.getFailures.family(.count(store.failures)),
      MountMetric.retries.family(
        by: "cause",
        RetryReason.allCases.map { ($0.rawValue, .count(store.retriesByReason[$0] ?? 0)) }
      ),
      MountMetric.heldBackSeconds.family(.number(Self.seconds(store.heldBackNanoseconds))),
    ]
  }

  private func ranks(_ ranks: [ActiveRank]) -> [MetricFamily] {
    func each(
      _ metric: MountMetric,
      _ value: (ActiveRank) -> MetricFamily.Value?
    ) -> MetricFamily {
      metric.family(
        ranks.compactMap { rank in
          value(rank).map { MetricFamily.Series($0, labels: Self.labels(of: rank)) }
        }
      )
    }
    var samplesBySplit: [String: Int] = [:]
    for rank in ranks { samplesBySplit[rank.split, default: 0] += rank.servedCount }
    return [
      MountMetric.samples.family(
        by: "split",
        run.splitNames.map { ($0, .count(samplesBySplit[$0] ?? 0)) }
      ),
      each(.rankEpoch) { .count($0.epoch) },
      each(.rankPosition) { .count($0.position) },
      each(.rankConsumed) { .count($0.consumedCount) },
      each(.rankLength) { rank in rank.length.map { .count($0) } },
      each(.rankSamples) { .count($0.servedCount) },
      MountMetric.rankWaits.family(
        ranks.flatMap { rank in
          rank.waits.seconds.map { cause, seconds in
            MetricFamily.Series(
              .number(seconds),
              labels: Self.labels(of: rank) + [MetricFamily.Label("cause", cause)]
            )
          }
        }
      ),
    ]
  }

  private static func labels(of rank: ActiveRank) -> [MetricFamily.Label] {
    [MetricFamily.Label("split", rank.split), MetricFamily.Label("rank", String(rank.rank))]
  }

  static func seconds(_ nanoseconds: Int) -> Double { Double(nanoseconds) / 1e9 }
}

extension RankWaits {
  /// By the words that label them.
  var seconds: [(cause: String, seconds: Double)] {
    [
      ("network", MountMetrics.seconds(networkNanoseconds)),
      ("throttle", MountMetrics.seconds(throttleNanoseconds)),
      ("reader", MountMetrics.seconds(readerNanoseconds)),
    ]
  }
}

extension MountMetric {
  func family(_ value: MetricFamily.Value) -> MetricFamily {
    family([MetricFamily.Series(value)])
  }

  fileprivate func family(
    by label: String,
    _ series: [(String, MetricFamily.Value)]
  ) -> MetricFamily {
    family(series.map { MetricFamily.Series($0.1, labels: [MetricFamily.Label(label, $0.0)]) })
  }
}
