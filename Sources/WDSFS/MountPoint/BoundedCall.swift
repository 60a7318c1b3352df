import Glibc
import Remote
import Synchronization

/// A call into a mount that may hang, as one whose process is stopped does.
enum BoundedCall {
  /// Runs the body on a thread of its own, and gives up on it after a while.
  ///
  /// - Parameters:
  ///   - limit: How long the caller waits; the thread may stay behind until the process ends.
  ///   - body: A system call or a few.
  /// - Returns: What the body gave, or nil where it did not return in time.
  static func result<Value: Sendable>(
    atMost limit: Duration,
    _ body: @escaping @Sendable () -> Value
  ) -> Value? {
    let answer = Answer<Value>()
    WorkerThread.start(name: "ask-mount") {
      let value = body()
      answer.value.withLock { $0 = value }
    }
    let end = ContinuousClock.now + limit
    while true {
      if let value = answer.value.withLock({ $0 }) { return value }
      guard ContinuousClock.now < end else { return nil }
      pause()
    }
  }

  /// The step of all waiting here.
  static func pause() {
    var time = timespec(tv_sec: 0, tv_nsec: 2_000_000)
    nanosleep(&time, nil)
  }
}

private final class Answer<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
}
