/// How many requests may be in flight: fewer after "slow down", more again with success.
///
/// Halved at most once a second and never below 2; one more for each 16 successes (docs/reliability.md, S1), in a
/// row or not: where one in ten is refused whatever we do, there would be no way up again.
package struct InFlightLimit: Hashable, Sendable {
  package static let least = 2
  package static let successesPerStep = 16

  package private(set) var current: Int
  package let most: Int
  private var successes = 0
  private var halvedAt: ContinuousClock.Instant?

  package init(most: Int) {
    self.most = max(most, 1)
    current = self.most
  }

  package mutating func throttled(at now: ContinuousClock.Instant) {
    if let halvedAt, now - halvedAt < .seconds(1) { return }
    halvedAt = now
    current = max(min(Self.least, most), current / 2)
  }

  package mutating func succeeded() {
    guard current < most else { return }
    successes += 1
    guard successes >= Self.successesPerStep else { return }
    successes = 0
    current += 1
  }
}
