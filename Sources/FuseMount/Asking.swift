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

    /// For what; nil before the first wish.
    case waiting(Want?)

    /// The cache has answered before the wish was handed over.
    case answered(CacheError?)
  }

  private struct State {
    var phase = Phase.waiting(nil)

    /// Nobody wants the answer any more.
    var hasLeft = false
  }

  private let state = Mutex(State())
  private let ask: @Sendable (Want, any CacheWaiter) -> Void
  private let unask: @Sendable (Want, any CacheWaiter) -> Void
  private let attempt: @Sendable (CacheError?) -> Want?

  /// - Parameters:
  ///   - ask: Tells the waiter when what is wanted has come, or why it will not.
  ///   - leave: Says that the waiter no longer waits for what it asked for.
  ///   - attempt: Tries again, or answers with the failure; returns what is wanted next, nil once
  ///     the question is answered.
  package init(
    ask: @escaping @Sendable (_ want: Want, _ waiter: any CacheWaiter) -> Void,
    leave: @escaping @Sendable (_ want: Want, _ waiter: any CacheWaiter) -> Void,
    attempt: @escaping @Sendable (_ failure: CacheError?) -> Want?
  ) {
    self.ask = ask
    self.unask = leave
    self.attempt = attempt
  }

  /// Waits for what is wanted, then for what is wanted after that.
  package func wait(for want: Want) {
    var want = want
    while true {
      state.withLock { $0.phase = .asking }
      ask(want, self)
      let (answer, hasLeft) = state.withLock { state -> (CacheError??, Bool) in
        if case .answered(let failure) = state.phase { return (.some(failure), false) }
        state.phase = .waiting(want)
        return (nil, state.hasLeft)
      }
      if hasLeft { unask(want, self) }
      guard let answer, let next = attempt(answer) else { return }
      want = next
    }
  }

  /// Gives up what is waited for, once the question has been answered by somebody else.
  package func leave() {
    let want = state.withLock { state -> Want? in
      state.hasLeft = true
      guard case .waiting(let want) = state.phase else { return nil }
      return want
    }
    if let want { unask(want, self) }
  }

  package func cacheAnswered(_ failure: CacheError?) {
    let isMeanwhile = state.withLock { state in
      guard case .asking = state.phase else { return false }
      state.phase = .answered(failure)
      return true
    }
    if isMeanwhile { return }
    if let want = attempt(failure) { wait(for: want) }
  }
}
