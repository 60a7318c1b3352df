import Remote
import ShardCache
import Synchronization

/// Says how far an indexing run is.
final class IndexProgress: Sendable {
  private struct State {
    var standing: IndexStanding
    var pace = IndexPace()
    var received = IndexPace()
  }

  private let run: IndexRun
  private let store: any ObjectStore
  private let startedAt = ContinuousClock.now
  private let state: Mutex<State>

  init(_ run: IndexRun, store: any ObjectStore, shardCount: Int, totalBytes: Int64) {
    self.run = run
    self.store = store
    state = Mutex(
      State(standing: IndexStanding(shardCount: shardCount, totalBytes: totalBytes))
    )
  }

  /// The line that says so; see `ProgressLine`.
  var line: ProgressLine {
    ProgressLine { [self] width in look().text(width: width) }
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

  private func look() -> IndexStanding {
    let walked = run.walkedBytes
    let received = store.statistics.bytesReceived
    let time = startedAt.duration(to: .now)
    return state.withLock { state in
      state.pace.note(walked, at: time)
      state.received.note(received, at: time)
      state.standing.walkedBytes = walked
      state.standing.receivedPerSecond = state.received.bytesPerSecond
      state.standing.secondsToGo = state.pace.secondsToGo(state.standing.leftBytes)
      return state.standing
    }
  }
}
