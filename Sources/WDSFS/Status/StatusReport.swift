import Instruments

/// How a mount does between two looks: what `wdsfs status` shows and `--json` writes.
struct StatusReport: Codable, Sendable {
  let version: Int
  let mountpoint: String
  let remote: String
  let pid: Int32
  let uptimeSeconds: Double

  /// What the rates are over.
  let intervalSeconds: Double

  let reads: Reads
  let cache: Cache
  let requests: Requests

  /// Nil where the mount does not say.
  let process: Process?
  let ranks: [Rank]

  struct Reads: Codable, Sendable {
    let bytesPerSecond: Double
    let samplesPerSecond: Double
    let readsPerSecond: Double

    /// The part of reads that memory answered at once; nil where none was made.
    let hitRate: Double?
    let errors: Int
    let waiting: Int
    let seconds: Quantiles
  }

  struct Cache: Codable, Sendable {
    let place: String
    let usedBytes: Int64
    let budgetBytes: Int64
    let evictionsPerSecond: Double
  }

  struct Requests: Codable, Sendable {
    let bytesPerSecond: Double
    let perSecond: Double
    let inFlight: Int
    let inFlightLimit: Int
    let seconds: Quantiles
    let retriesPerSecond: Double

    /// Since the mount.
    let retries: Int
    let retriesByCause: [String: Int]
    let failures: Int
    let isThrottled: Bool
  }

  struct Process: Codable, Sendable {
    /// Parts of a processor: 1.5 is one and a half.
    let processors: Double
    let memoryBytes: Int?
    let openFiles: Int?
  }

  /// About; nil where nothing was measured.
  struct Quantiles: Codable, Sendable {
    let p50: Double?
    let p99: Double?
  }

  struct Rank: Codable, Sendable {
    let split: String
    let rank: Int
    let epoch: Int
    let position: Int
    let consumed: Int

    /// Nil while not all of the epoch's shards are counted.
    let length: Int?
    let samplesPerSecond: Double

    /// To the epoch's end, at the pace of late; nil where that is not known or nobody reads.
    let secondsToGo: Double?

    /// Who waited for what, as parts of the interval that make 1 together.
    let waits: Waits
  }

  struct Waits: Codable, Sendable {
    /// Reads for bytes on their way.
    let network: Double

    /// Reads for bytes that the store did not want to be asked for yet.
    let throttle: Double

    /// The mount for its reader.
    let reader: Double
  }
}

/// Some looks at a mount, and what they say together.
struct StatusHistory: Sendable {
  let description: StatusSource.Description
  private var looks: [(time: MonotonicTime, statistics: MountStatistics)] = []

  /// Rates are of the last few seconds, so that they are steady and yet of now.
  private static let rateNanoseconds = 5_000_000_000

  /// The time to go is by the last minute's pace, since batches come in bursts.
  private static let paceNanoseconds = 60_000_000_000

  init(_ description: StatusSource.Description) {
    self.description = description
  }

  mutating func add(_ statistics: MountStatistics, at time: MonotonicTime) {
    // Another mount, whose counters begin anew.
    if let last = looks.last, statistics.uptimeSeconds < last.statistics.uptimeSeconds {
      looks = []
    }
    looks.append((time, statistics))
    while looks.count > 2, time.nanoseconds - looks[1].time.nanoseconds >= Self.paceNanoseconds {
      looks.removeFirst()
    }
  }

  /// What the looks say; nil before there are two.
  var report: StatusReport? {
    guard let last = looks.last, looks.count > 1 else { return nil }
    let since =
      looks.dropLast().last { last.time.nanoseconds - $0.time.nanoseconds >= Self.rateNanoseconds }
      ?? looks[0]
    let seconds = Double(last.time.nanoseconds - since.time.nanoseconds) / 1e9
    guard seconds > 0 else { return nil }
    let (now, then) = (last.statistics, since.statistics)
    func rate(_ value: (MountStatistics) -> Int) -> Double {
      Double(max(0, value(now) - value(then))) / seconds
    }
    let hits = max(0, now.reads.hits - then.reads.hits)
    let waits = max(0, now.reads.waits - then.reads.waits)
    return StatusReport(
      version: ControlContents.version,
      mountpoint: description.mountpoint,
      remote: description.remote,
      pid: description.pid,
      uptimeSeconds: now.uptimeSeconds,
      intervalSeconds: (seconds * 1000).rounded() / 1000,
      reads: StatusReport.Reads(
        bytesPerSecond: rate { $0.reads.bytes },
        samplesPerSecond: rate { $0.ranks.reduce(0) { $0 + $1.samples } },
        readsPerSecond: rate { $0.reads.hits + $0.reads.waits },
        hitRate: hits + waits == 0 ? nil : Double(hits) / Double(hits + waits),
        errors: now.reads.errors,
        waiting: now.reads.waiting,
        seconds: Self.quantiles(
          [now.reads.hitSeconds, now.reads.waitSeconds],
          since: [then.reads.hitSeconds, then.reads.waitSeconds]
        )
      ),
      cache: StatusReport.Cache(
        place: description.cachePlace,
        usedBytes: description.cachePlace == "disk" ? now.cache.diskBytes : now.cache.memoryBytes,
        budgetBytes: now.cache.budgetBytes,
        evictionsPerSecond: rate { $0.cache.evictions }
      ),
      requests: StatusReport.Requests(
        bytesPerSecond: rate { Int($0.store.bytesReceived) },
        perSecond: rate { $0.store.requests },
        inFlight: now.store.inFlight,
        inFlightLimit: now.store.inFlightLimit,
        seconds: Self.quantiles([now.store.requestSeconds], since: [then.store.requestSeconds]),
        retriesPerSecond: rate { $0.store.retries },
        retries: now.store.retries,
        retriesByCause: now.store.retriesByCause,
        failures: now.store.failures,
        isThrottled: now.store.isThrottled
      ),
      process: now.process.map { process in
        let used = max(0, process.cpuSeconds - (then.process?.cpuSeconds ?? 0))
        return StatusReport.Process(
          processors: (used / seconds * 1000).rounded() / 1000,
          memoryBytes: process.memoryBytes,
          openFiles: process.openFiles
        )
      },
      ranks: ranks(now, since: then, seconds)
    )
  }

  private func ranks(
    _ now: MountStatistics,
    since then: MountStatistics,
    _ seconds: Double
  ) -> [StatusReport.Rank] {
    var before: [String: MountStatistics.Rank] = [:]
    for rank in then.ranks { before[rank.name] = rank }
    var atPaceStart: [String: MountStatistics.Rank] = [:]
    for rank in looks[0].statistics.ranks { atPaceStart[rank.name] = rank }
    let paceSeconds = now.uptimeSeconds - looks[0].statistics.uptimeSeconds
    return now.ranks.map { rank in
      let last = before[rank.name]
      let pace =
        Double(max(0, rank.samples - (atPaceStart[rank.name]?.samples ?? 0))) / max(1, paceSeconds)
      let left = rank.length.map { max(0, $0 - rank.consumed) }
      return StatusReport.Rank(
        split: rank.split,
        rank: rank.rank,
        epoch: rank.epoch,
        position: rank.position,
        consumed: rank.consumed,
        length: rank.length,
        samplesPerSecond: Double(max(0, rank.samples - (last?.samples ?? 0))) / seconds,
        secondsToGo: left.flatMap { pace > 0 ? Double($0) / pace : $0 == 0 ? 0 : nil },
        waits: StatusReport.Waits(rank, since: last)
      )
    }
  }

  private static func quantiles(
    _ now: [MountStatistics.Times],
    since then: [MountStatistics.Times]
  ) -> StatusReport.Quantiles {
    var counts: [Int] = []
    for (now, then) in zip(now, then) {
      for (bucket, count) in now.counts.enumerated() {
        if bucket == counts.count { counts.append(0) }
        let before = then.counts.indices.contains(bucket) ? then.counts[bucket] : 0
        counts[bucket] += max(0, count - before)
      }
    }
    let value = HistogramValue(counts: counts)
    return StatusReport.Quantiles(p50: value?.quantile(0.5), p99: value?.quantile(0.99))
  }
}

extension MountStatistics.Rank {
  fileprivate var name: String { "\(split)/\(rank)" }
}

extension StatusReport.Waits {
  /// - Parameters:
  ///   - now: A rank.
  ///   - then: The same before; nil where it was not read yet.
  fileprivate init(_ now: MountStatistics.Rank, since then: MountStatistics.Rank?) {
    let times = [
      now.networkSeconds - (then?.networkSeconds ?? 0),
      now.throttleSeconds - (then?.throttleSeconds ?? 0),
      now.readerSeconds - (then?.readerSeconds ?? 0),
    ].map { max(0, $0) }
    let sum = times.reduce(0, +)
    // A rank of which nothing is measured waits for its reader.
    let parts = sum > 0 ? times.map { $0 / sum } : [0, 0, 1]
    (network, throttle, reader) = (parts[0], parts[1], parts[2])
  }
}
