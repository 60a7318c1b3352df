package import SampleTree
package import ShardCache
import Synchronization

/// One question that is asked again each time the cache says so, until it is answered.
///
/// An answer that comes while the question is still being put does not nest: it is taken up where
/// the question was put, so that a row of quick answers needs no deep stack.
package final class Asking: CacheWaiter {
  private enum Phase {
    /// The wish is being handed to the cache.
    case asking
    case waiting

    /// The cache has answered before the wish was handed over.
    case answered(CacheError?)
  }

  private let phase = Mutex(Phase.waiting)
  private let ask: @Sendable (Want, any CacheWaiter) -> Void
  private let attempt: @Sendable (CacheError?) -> Want?

  /// - Parameters:
  ///   - ask: Tells the waiter when what is wanted has come, or why it will not.
  ///   - attempt: Tries again, or answers with the failure; returns what is wanted next, nil once
  ///     the question is answered.
  package init(
    ask: @escaping @Sendable (_ want: Want, _ waiter: any CacheWaiter) -> Void,
    attempt: @escaping @Sendable (_ failure: CacheError?) -> Want?
  ) {
    self.ask = ask
    self.attempt = attempt
  }

  /// Waits for what is wanted, then for what is wanted after that.
  package func wait(for want: Want) {
    var want = want
    while true {
      phase.withLock { $0 = .asking }
      ask(want, self)
      let answer = phase.withLock { phase -> CacheError?? in
        if case .answered(let failure) = phase { return .some(failure) }
        phase = .waiting
        return nil
      }
      guard let answer, let next = attempt(answer) else { return }
      want = next
    }
  }

  package func cacheAnswered(_ failure: CacheError?) {
    let isMeanwhile = phase.withLock { phase in
      guard case .asking = phase else { return false }
      phase = .answered(failure)
      return true
    }
    if isMeanwhile { return }
    if let want = attempt(failure) { wait(for: want) }
  }
}
