import Glibc
import ShardCache
import Synchronization

/// Waits for the cache's answer, and counts how often it came.
final class TestWaiter: CacheWaiter {
  private struct State {
    var answers: [CacheError?] = []
  }

  let name: Int
  private let state = Mutex(State())

  init(_ name: Int = 0) {
    self.name = name
  }

  func cacheAnswered(_ failure: CacheError?) {
    state.withLock { $0.answers.append(failure) }
  }

  var answers: [CacheError?] { state.withLock { $0.answers } }

  /// The first answer; nil where none came in 30 s.
  func answer() -> CacheError?? {
    // In steps of 1 ms, since what is waited for may be that nothing comes.
    for _ in 0..<30_000 {
      if let answer = answers.first { return .some(answer) }
      usleep(1_000)
    }
    return nil
  }
}

/// Waits up to 30 s for something that another thread brings about.
func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<30_000 {
    if condition() { return true }
    usleep(1_000)
  }
  return condition()
}
