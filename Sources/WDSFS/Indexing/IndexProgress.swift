import Glibc
import Remote
import ShardCache
import Synchronization

/// Says how far an indexing run is: a bar on a terminal, a line now and then elsewhere.
final class IndexProgress: Sendable {
  private static let terminalPause: Duration = .milliseconds(200)
  private static let linePause: Duration = .seconds(10)

  private struct State {
    var standing: IndexStanding
    var pace = IndexPace()
    var received = IndexPace()
    var isOver = false
  }

  private let run: IndexRun
  private let store: any ObjectStore
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let startedAt = ContinuousClock.now
  private let state: Mutex<State>
  private let ended = ReadySignal()

  init(_ run: IndexRun, store: any ObjectStore, shardCount: Int, totalBytes: Int64) {
    self.run = run
    self.store = store
    state = Mutex(
      State(standing: IndexStanding(shardCount: shardCount, totalBytes: totalBytes))
    )
  }

  /// Begins to say so, on a thread of its own.
  func start() {
    WorkerThread.start(name: "progress") { [self] in
      var shownAt = ContinuousClock.now
      while true {
        var pause = timespec(tv_sec: 0, tv_nsec: 100_000_000)
        nanosleep(&pause, nil)
        let standing = look()
        guard let standing else { break }
        let period = isTerminal ? Self.terminalPause : Self.linePause
        guard shownAt.duration(to: .now) >= period else { continue }
        shownAt = .now
        show(standing)
      }
      ended.signal()
    }
  }

  /// Ends it, and takes the bar off the terminal.
  func finish() {
    state.withLock { $0.isOver = true }
    ended.wait()
    if isTerminal { write("\r\u{1B}[K") }
  }

  func note(_ outcome: IndexRun.Outcome, sizeBytes: Int64) {
    state.withLock { state in
      state.standing.doneShards += 1
      switch outcome {
      case .known: state.standing.knownBytes += sizeBytes
      case .made: break
      case .failed: state.standing.failedShards += 1
      }
    }
  }

  private func look() -> IndexStanding? {
    let walked = run.walkedBytes
    let received = store.statistics.bytesReceived
    let time = startedAt.duration(to: .now)
    return state.withLock { state in
      guard !state.isOver else { return nil }
      state.pace.note(walked, at: time)
      state.received.note(received, at: time)
      state.standing.walkedBytes = walked
      state.standing.receivedPerSecond = state.received.bytesPerSecond
      state.standing.secondsToGo = state.pace.secondsToGo(state.standing.leftBytes)
      return state.standing
    }
  }

  private func show(_ standing: IndexStanding) {
    if isTerminal {
      write("\r" + standing.text(width: Self.terminalWidth) + "\u{1B}[K")
    } else {
      write(standing.text(width: nil) + "\n")
    }
  }

  private func write(_ text: String) {
    FileDescriptorOutput.writeAll(Array(text.utf8), to: STDERR_FILENO)
  }

  private static var terminalWidth: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
