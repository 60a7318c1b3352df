/// So much a second: bytes for `--bwlimit`, requests for `--tpslimit`.
///
/// A budget that fills with time, holds what a tenth of a second brings and may be overdrawn by one
/// spending; the next one waits until that is made up for.
package struct RateLimit: Hashable, Sendable {
  private let perSecond: Double
  private let most: Double
  private var level: Double
  private var filledAt: ContinuousClock.Instant

  package init(perSecond: Double, at now: ContinuousClock.Instant) {
    precondition(perSecond > 0, "a limit of \(perSecond) a second")
    self.perSecond = perSecond
    most = max(1, perSecond / 10)
    level = most
    filledAt = now
  }

  /// How long until something may be spent: zero if at once.
  package mutating func wait(at now: ContinuousClock.Instant) -> Duration {
    level = min(most, level + max(0, (now - filledAt).inSeconds) * perSecond)
    filledAt = max(filledAt, now)
    return level > 0 ? .zero : .seconds(min(-level / perSecond, 60)) + .milliseconds(1)
  }

  package mutating func spend(_ amount: Double) {
    level -= amount
  }
}

/// The bytes that all attempts of a loop may still receive; on the loop's thread alone.
final class ReceiveBudget {
  private var limit: RateLimit

  init(bytesPerSecond: Int64) {
    limit = RateLimit(perSecond: Double(bytesPerSecond), at: .now)
  }

  func wait(at now: ContinuousClock.Instant) -> Duration { limit.wait(at: now) }

  func spend(_ bytes: Int) {
    limit.spend(Double(bytes))
  }
}
