import FuseMount
import Glibc
import Logging
import Remote
import SampleOrder
import SampleTree
import ShardCache

/// A mount from settings to its end: builds the floors and hands each to the next.
enum Mount {
  /// Mounts, serves until the mount is gone, and clears up.
  ///
  /// - Returns: How it ended.
  /// - Throws: Why it did not come up; nothing is mounted then.
  static func serve(
    _ settings: MountSettings,
    _ process: MountProcess
  ) throws(Failure) -> ExitCode {
    let log = process.log
    // First of all, so that a cursor that cannot be used costs no request.
    let opened = try OpenCursor.open(settings, log: log)
    let settings = try settings.resuming(opened?.cursor)
    tell(settings.worldSize, log)
    let ledger: Ledger? =
      if let path = settings.order.ledgerPath { try Ledger.open(path, log: log) } else { nil }
    let address = try StoreWiring.address(settings)
    // Before the first request: a program that is missing costs none.
    let decoding = try SchemaWiring.decoding(settings, at: address, log)
    defer { decoding?.shutDown() }
    let store = try StoreWiring.store(at: address, settings, log)
    defer { store.shutDown() }
    let (dataset, notes) = try StoreWiring.dataset(listing: store, at: address, settings)
    log.info(
      "listed \(dataset.shards.count) shards in \(dataset.splits.count) splits",
      metadata: [
        "event": "mount.listed", "shards": "\(dataset.shards.count)",
        "splits": "\(dataset.splits.count)",
      ]
    )
    let stated = try BucketStatements.read(
      notes,
      of: dataset,
      in: store,
      at: address,
      maxCountFiles: BucketStatements.maxCountFiles(settings, opened?.cursor),
      log
    )
    let cache = try CacheWiring.cache(
      over: store,
      dataset,
      stated.published,
      at: address,
      settings,
      log
    )
    // Answers that come late, on the store's threads, still look for the cache: it stays until the
    // process ends, which is next.
    _ = Unmanaged.passRetained(cache)
    defer { cache.shutDown() }
    if decoding != nil { SchemaWiring.warnOfMissing(settings, dataset, cache, log) }
    let run = try RunWiring.run(settings, opened, dataset, stated.counts, cache, log)
    WindowRoom.check(
      settings,
      dataset,
      stated.counts,
      cacheBytes: cache.settings.budgetBytes,
      log
    )
    let reads = ReadMeters()
    let metrics = MountMetrics(
      remote: address.displayName,
      mountPoint: settings.mountPoint,
      cache: cache,
      store: store,
      run: run,
      reads: reads,
      registry: process.registry
    )
    let controls = ControlContents(
      settings: settings,
      remote: address.displayName,
      dataset: dataset,
      cache: cache,
      run: run,
      metrics: metrics,
      events: process.events
    )
    let server = try MetricsWiring.server(settings, controls, log)
    defer { server?.shutDown() }
    let tree = try TreeWiring.tree(
      of: dataset,
      at: address,
      cache,
      run,
      controls,
      decoding,
      ledger,
      settings,
      log
    )
    var saver: CursorSaver?
    let ending = Result { () throws(Failure) in
      try serve(tree, reads, source: address.displayName, settings, process) {
        let started = opened.map { opened in
          save(run, to: opened.file, after: ledger, process) {
            RunWiring.cursor(of: run, dataset, cache)
          }
        }
        saver = started
        return {
          _ = started?.finish()
          ledger?.flush()
        }
      }
    }
    // However it ended: what was answered counts.
    let isSaved = saver?.finish() ?? true
    let isNoted = ledger?.finish() ?? true
    // Whoever mounts next need not wait until all memory is given back.
    opened?.file.release()
    let code = try ending.get()
    return isNoted && isSaved ? code : .forced
  }

  private static func tell(_ worldSize: WorldSize, _ log: Logger) {
    log.info(
      "world size \(worldSize.size) from \(worldSize.source)",
      metadata: [
        "event": "mount.world_size",
        "world_size": "\(worldSize.size)",
        "source": "\(worldSize.source)",
      ]
    )
  }

  // MARK: Progress

  /// What is counted in a snapshot is counted a moment before it is answered; by the time the
  /// snapshot is written, the answers have left.
  private static let answerMilliseconds = 20

  private static func save(
    _ run: TrainingRun,
    to file: CursorFile,
    after ledger: Ledger?,
    _ process: MountProcess,
    cursor: @escaping @Sendable () -> Cursor
  ) -> CursorSaver {
    CursorSaver.start(
      file,
      log: process.log,
      beforeSave: {
        var pause = timespec(tv_sec: 0, tv_nsec: answerMilliseconds * 1_000_000)
        nanosleep(&pause, nil)
        ledger?.flush()
      },
      metrics: process.registry,
      source: { saved in
        let version = run.changeCount
        guard version != saved else { return nil }
        return CursorSaver.Snapshot(version: version, cursor: cursor())
      }
    )
  }

  // MARK: Serving

  /// Mounts, and answers until the mount is gone.
  ///
  /// - Parameters:
  ///   - tree: What is shown.
  ///   - reads: What is counted of it.
  ///   - source: What mount tables show.
  ///   - settings: Where and for whom.
  ///   - process: Told that it is mounted.
  ///   - whenMounted: Starts the saving of progress; what it gives is called where the process ends
  ///     without coming back from here, and saves for the last time.
  /// - Returns: How it ended.
  /// - Throws: Why it did not come up, or broke.
  private static func serve(
    _ tree: MountTree,
    _ reads: ReadMeters,
    source: String,
    _ settings: MountSettings,
    _ process: MountProcess,
    whenMounted: () -> @Sendable () -> Void
  ) throws(Failure) -> ExitCode {
    let session: FuseSession
    do throws(FuseError) {
      session = try FuseSession(
        tree,
        at: settings.mountPoint,
        settings: FuseSession.Settings(
          sourceName: source,
          owner: Owner(user: settings.uid, group: settings.gid),
          allowsOthers: settings.allowsOthers
        ),
        meters: reads,
        logger: process.log
      )
    } catch {
      throw Failure(.cannotMount, "\(error); see wdsfs mount --help")
    }
    tree.connect(to: session)
    let served = ServedSession(session)
    guard session.waitUntilAnswering() else {
      MountEnd.detach(settings.mountPoint)
      _ = served.wait()
      throw Failure(.cannotMount, "mounted, but does not answer: \(settings.mountPoint)")
    }
    let device = MountTable.current().top(at: settings.mountPoint)?.device
    ReadAheadLimit.raise(forMountAt: settings.mountPoint)
    let end = MountEnd(
      mountPoint: settings.mountPoint,
      log: process.log,
      notice: process.notice,
      saveProgress: whenMounted()
    )
    process.log.info(
      "mounted",
      metadata: [
        "event": "mount.ready", "remote": "\(source)", "mountpoint": "\(settings.mountPoint)",
      ]
    )
    Signals.handle(
      first: { signal in end.begin(signal) },
      second: { _ in
        end.detachNow()
        end.saveProgress()
      }
    )
    if !process.reportMounted("\(source) at \(settings.mountPoint)") { end.detachNow() }
    let status = served.wait()
    // A connection that was aborted leaves its mount behind, which nobody serves any more.
    if let device, MountTable.current().top(at: settings.mountPoint)?.device == device {
      end.detachNow()
    }
    guard status == 0 else {
      throw Failure(.internalError, "the mount ended: \(errorText(-status)); see the log")
    }
    process.log.info("unmounted", metadata: ["event": "mount.ended"])
    return .success
  }
}
