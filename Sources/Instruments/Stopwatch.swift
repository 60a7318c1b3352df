/// How long something has been so altogether, the present stretch included.
package struct Stopwatch: Hashable, Sendable {
  private var past = 0
  private var since: MonotonicTime?

  package init() {}

  package var isRunning: Bool { since != nil }

  /// Begins or ends a stretch; what is so already changes nothing.
  package mutating func set(isRunning: Bool, at now: MonotonicTime) {
    switch (isRunning, since) {
    case (true, nil): since = now
    case (false, let start?):
      past += max(0, now.nanoseconds - start.nanoseconds)
      since = nil
    default: return
    }
  }

  package func nanoseconds(at now: MonotonicTime) -> Int {
    past + (since.map { max(0, now.nanoseconds - $0.nanoseconds) } ?? 0)
  }
}
