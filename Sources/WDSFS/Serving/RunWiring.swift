import Glibc
import Logging
import Remote
import SampleOrder
import SampleTree
import ShardCache
import TarIndex

/// From what the user and the cursor say of the order to a run that goes on where it stopped.
enum RunWiring {
  /// Makes the run, counting what its order wants counted before anything is shown.
  ///
  /// - Parameters:
  ///   - settings: With the cursor's world size taken up.
  ///   - opened: What `--cursor` names; nil without.
  ///   - dataset: As listed.
  ///   - stated: What the bucket says of the shards' counts.
  ///   - cache: Counts the shards.
  ///   - log: Hears of progress.
  /// - Returns: The run, at the present world size.
  /// - Throws: `.cursor` for a cursor of another dataset or order, `.usage` for an order that cannot
  ///   be, and why a shard could not be counted.
  static func run(
    _ settings: MountSettings,
    _ opened: OpenCursor?,
    _ dataset: Dataset,
    _ stated: StatedCounts,
    _ cache: ShardReader,
    _ log: Logger
  ) throws(Failure) -> TrainingRun {
    let names = dataset.splits.map(\.name.description)
    let cursor = try cursor(settings, opened, dataset, stated)
    cache.believe(believed(stated, dataset, cursor))
    tell(cursor, log)
    let shards = dataset.splits.map(\.shards)
    let limit = settings.order.maxRankSamples
    let run = TrainingRun(cursor: cursor, splitNames: names, maxRankSamples: limit) { split in
      shape(of: shards[split], cache)
    }
    for (split, name) in names.enumerated() {
      let epochs = Set(cursor.splits[name]?.present.ranks.map(\.epoch) ?? [])
      for epoch in epochs.sorted() {
        try prepare(run, split, epoch, shards[split], cache, settings, log)
      }
    }
    return run
  }

  // MARK: Cursor

  private static func cursor(
    _ settings: MountSettings,
    _ opened: OpenCursor?,
    _ dataset: Dataset,
    _ stated: StatedCounts
  ) throws(Failure) -> Cursor {
    var fingerprints: [String: String] = [:]
    for split in dataset.splits {
      fingerprints[split.name.description] = DatasetFingerprint.text(
        of: split.shards.map { dataset.shards[$0] }
      )
    }
    try opened?.check(settings.order, fingerprints: fingerprints)
    let order = settings.order
    let size = settings.worldSize.size
    var cursor =
      try opened?.resumed(atWorldSize: size)
      ?? Cursor(
        shuffle: order.options.shuffle ?? .none,
        seed: order.options.seed ?? 0,
        shuffleWindow: order.options.shuffleWindow ?? 1,
        equalize: order.options.equalize,
        lanesAsked: order.lanes
      )
    // What lies in a local cache has no say here: every node must choose the same.
    let statedNames = Set(
      dataset.splits.filter { stated.states(all: $0.shards) }.map(\.name.description)
    )
    do throws(OrderError) {
      for (name, fingerprint) in fingerprints where cursor.splits[name] == nil {
        let parameters = try OrderParameters(
          shuffle: cursor.shuffle,
          seed: cursor.seed,
          worldSize: size,
          lanes: cursor.lanesAsked,
          shuffleWindow: cursor.shuffleWindow,
          partition: order.options.partition ?? (statedNames.contains(name) ? .samples : .shards),
          equalize: cursor.equalize
        )
        cursor.splits[name] = SplitCursor(
          fingerprint: fingerprint,
          partition: parameters.partition,
          present: Leg(parameters, epoch: order.firstEpoch ?? 0)
        )
      }
    } catch {
      throw Failure(.usage, "\(error); see wdsfs mount --help")
    }
    if let rank = settings.worldSize.onlyRank { cursor = cursor.holding(only: [rank]) }
    return cursor
  }

  private static func tell(_ cursor: Cursor, _ log: Logger) {
    for (name, split) in cursor.splits.sorted(by: { $0.key < $1.key }) {
      log.info(
        "\(name) is dealt by \(split.partition.rawValue)",
        metadata: [
          "event": "order.partition", "split": "\(name)",
          "partition": "\(split.partition.rawValue)",
        ]
      )
    }
  }

  // MARK: Counts

  /// The run's cursor, with what is known of the shards by now.
  static func cursor(
    of run: TrainingRun,
    _ dataset: Dataset,
    _ cache: ShardReader
  ) -> Cursor {
    var cursor = run.cursor()
    for split in dataset.splits {
      let counts = KnownCounts(cache.settledCounts(of: split.shards))
      cursor.splits[split.name.description]?.counts = counts
    }
    return cursor
  }

  /// The stated counts that an order is made by: where whole shards are dealt, the bucket's are not
  /// needed, and a wrong one does no harm.
  private static func believed(
    _ stated: StatedCounts,
    _ dataset: Dataset,
    _ cursor: Cursor
  ) -> StatedCounts {
    var believed = StatedCounts(shardCount: dataset.shards.count)
    for split in dataset.splits {
      guard let saved = cursor.splits[split.name.description] else { continue }
      if saved.partition == .samples {
        for shard in split.shards {
          guard let count = stated[shard] else { continue }
          believed.state(count, ofShard: shard, source: stated.source(ofShard: shard))
        }
      }
      // Seen by this run itself, in the same shards: what was read need not be counted again.
      saved.counts.forEach(ofFirst: split.shards.count) { place, count in
        believed.state(count, ofShard: split.shards[place], source: "the cursor")
      }
    }
    return believed
  }

  /// What is known of a split's shards by now.
  private static func shape(of shards: [Int], _ cache: ShardReader) -> DatasetShape {
    guard var shape = try? DatasetShape(shardCount: shards.count) else {
      preconditionFailure("\(shards.count) shards")
    }
    for (place, shard) in shards.enumerated() {
      guard let count = cache.sampleCount(ofShard: shard) else { continue }
      // A count out of range is none: the order then asks for it and says so.
      try? shape.set(.exactly(count), ofShard: place)
    }
    return shape
  }

  /// Works an epoch's order out, and counts what it asks for until it can be.
  private static func prepare(
    _ run: TrainingRun,
    _ split: Int,
    _ epoch: Int,
    _ shards: [Int],
    _ cache: ShardReader,
    _ settings: MountSettings,
    _ log: Logger
  ) throws(Failure) {
    while true {
      do throws(OrderError) {
        _ = try run.order(split: split, epoch: epoch)
        return
      } catch {
        guard case .countsWanted(let places) = error else { throw Failure(.usage, "\(error)") }
        let unreadable = try count(places, of: shards, run.splitNames[split], cache, settings, log)
        for place in unreadable { run.skip(place, ofSplit: split) }
      }
    }
  }

  /// So many headers are read at once: enough to hide a request's way.
  private static let countedAtOnce = 16

  /// Reads the headers of shards.
  ///
  /// - Returns: The places of those that cannot be read and are to be left out.
  private static func count(
    _ places: [Int],
    of shards: [Int],
    _ split: String,
    _ cache: ShardReader,
    _ settings: MountSettings,
    _ log: Logger
  ) throws(Failure) -> [Int] {
    var told = ContinuousClock.now
    var unreadable: [Int] = []
    for start in stride(from: 0, to: places.count, by: countedAtOnce) {
      let some = places[start..<min(start + countedAtOnce, places.count)]
      let waiters = some.map { place in
        let waiter = CountWaiter()
        cache.wait(forSample: Int.max, ofShard: shards[place], waiter)
        return waiter
      }
      for (place, waiter) in zip(some, waiters) {
        guard let failure = waiter.wait() else { continue }
        guard !settings.skipsUnreadable else {
          log.error(
            "the shard is left out: \(failure)",
            metadata: ["event": "shard.skipped", "shard": "\(cache.shards[shards[place]].key)"]
          )
          unreadable.append(place)
          continue
        }
        if case .fetch(_, _, let error) = failure { throw Failure(error, remote: split) }
        throw Failure(.badShards, "cannot count the samples of \(split): \(failure)")
      }
      guard told.duration(to: .now) >= .seconds(1) else { continue }
      told = .now
      log.info(
        "counted \(start + some.count) of \(places.count) shards of \(split)",
        metadata: [
          "event": "order.counting", "split": "\(split)", "done": "\(start + some.count)",
          "of": "\(places.count)",
        ]
      )
    }
    return unreadable
  }
}

/// Lets the mount's start wait for a shard's index.
final class CountWaiter: CacheWaiter, @unchecked Sendable {
  // Proof of `@unchecked Sendable`: the failure is written once before the signal, and read after.
  private var failure: CacheError?
  private let isAnswered = ReadySignal()

  func cacheAnswered(_ failure: CacheError?) {
    self.failure = failure
    isAnswered.signal()
  }

  func wait() -> CacheError? {
    isAnswered.wait()
    return failure
  }
}
