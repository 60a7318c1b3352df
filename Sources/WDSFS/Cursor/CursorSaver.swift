package import CoreMetrics
import Instruments
package import Logging
import Remote
package import SampleOrder
import Synchronization

/// Saves the cursor of a mount while it changes, on a thread of its own.
///
/// A disk that is full or slow holds up nobody: the cursor is kept in memory, and each second it is
/// tried again.
package final class CursorSaver: Sendable {
  /// Progress at one instant.
  package struct Snapshot: Sendable {
    /// Changes with the cursor, and never comes back.
    package let version: Int

    package let cursor: Cursor

    package init(version: Int, cursor: Cursor) {
      self.version = version
      self.cursor = cursor
    }
  }

  /// Gives the present progress; nil where it is still that of the version.
  ///
  /// Called on the saver's thread only, about once a second; with nil it always gives a snapshot.
  package typealias Source = @Sendable (_ savedVersion: Int?) -> Snapshot?

  private let file: CursorFile
  private let interval: Duration
  private let log: Logger
  private let beforeSave: @Sendable () -> Void
  private let source: Source
  private let saveTimer: Timer
  private let failureCounter: Counter
  private let wakeUp = WakeUp()
  private let ended = ReadySignal()
  private let state = Mutex(State())

  private struct State {
    var isEnding = false
    var savedVersion: Int?
    var failure: CursorFile.SaveError?
  }

  /// Starts the thread, which saves at once what it is given first, if the file does not hold it yet.
  ///
  /// - Parameters:
  ///   - file: Held until `finish`.
  ///   - log: Hears once that saving fails, and once that it works again.
  ///   - interval: Between two looks; the contract's is a second.
  ///   - beforeSave: Called after a snapshot was taken and before it is written; what the cursor calls
  ///     consumed must not be missing elsewhere (the ledger's `flush`).
  ///   - metrics: Hears how long saves took, and how many failed.
  ///   - source: Gives the progress.
  /// - Returns: The saver, which is to be finished.
  package static func start(
    _ file: CursorFile,
    log: Logger,
    interval: Duration = .seconds(1),
    beforeSave: @escaping @Sendable () -> Void = {},
    metrics: any MetricsFactory = NOOPMetricsHandler.instance,
    source: @escaping Source
  ) -> CursorSaver {
    let saver = CursorSaver(file, log, interval, beforeSave, metrics, source)
    WorkerThread.start(name: "cursor") { saver.run() }
    return saver
  }

  private init(
    _ file: CursorFile,
    _ log: Logger,
    _ interval: Duration,
    _ beforeSave: @escaping @Sendable () -> Void,
    _ metrics: any MetricsFactory,
    _ source: @escaping Source
  ) {
    saveTimer = Timer(label: MountMetric.cursorSaveSeconds.name, factory: metrics)
    failureCounter = Counter(label: MountMetric.cursorSaveFailures.name, factory: metrics)
    self.file = file
    self.log = log
    self.interval = interval
    self.beforeSave = beforeSave
    self.source = source
  }

  /// Why the last save failed, if it did.
  package var failure: CursorFile.SaveError? { state.withLock { $0.failure } }

  /// Saves once more and ends the thread.
  ///
  /// Call it when nothing is served any more. A second call, from any thread, waits for the first and
  /// answers the same.
  ///
  /// - Returns: Whether the file holds all that was consumed; where not, exit with `.forced`.
  package func finish() -> Bool {
    state.withLock { $0.isEnding = true }
    wakeUp.wake()
    ended.wait()
    // Whoever else waits goes through as well.
    ended.signal()
    return failure == nil
  }

  private func run() {
    while true {
      // Asked before the save, so that the last one comes after `finish` was called.
      let isLast = state.withLock { $0.isEnding }
      saveIfChanged()
      if isLast { break }
      wakeUp.sleep(atMost: interval)
    }
    ended.signal()
  }

  private func saveIfChanged() {
    guard let snapshot = source(state.withLock { $0.savedVersion }) else { return }
    beforeSave()
    let start = MonotonicTime.now
    do throws(CursorFile.SaveError) {
      try file.save(snapshot.cursor)
      saveTimer.recordNanoseconds(Int64(start.nanosecondsToNow))
      let wasFailing = state.withLock { state in
        defer { state.failure = nil }
        state.savedVersion = snapshot.version
        return state.failure != nil
      }
      if wasFailing {
        log.notice(
          "the cursor is saved again: \(file.path)",
          metadata: ["event": "cursor.write_recovered", "file": "\(file.path)"]
        )
      }
    } catch {
      failureCounter.increment()
      let wasFailing = state.withLock { state in
        defer { state.failure = error }
        return state.failure != nil
      }
      guard !wasFailing else { return }
      log.error(
        "the cursor cannot be saved: \(error); the old one is intact, and it is tried each second",
        metadata: ["event": "cursor.write_failed", "file": "\(file.path)"]
      )
    }
  }
}
