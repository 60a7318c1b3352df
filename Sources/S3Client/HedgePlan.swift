/// Decides when a read has waited so much longer than its peers that it is asked for a second time.
///
/// One request of many hangs in every large store now and then; the second one mostly goes to another
/// server. Bounded, so that a store that is slow as a whole is not asked for everything twice: one
/// such request for twenty that went well.
package struct HedgePlan: Hashable, Sendable {
  private static let remembered = 64
  private static let leastKnown = 16
  private static let leastPatience: Duration = .milliseconds(200)
  private static let creditOfSuccess = 0.05
  private static let mostCredit = 4.0

  /// How long the latest replies were waited for.
  private var waits: [Duration] = []
  private var nextPlace = 0
  private var credit = 1.0

  package init() {}

  /// Notes how long a good reply's head took.
  package mutating func succeeded(after wait: Duration) {
    credit = min(Self.mostCredit, credit + Self.creditOfSuccess)
    if waits.count < Self.remembered {
      waits.append(wait)
    } else {
      waits[nextPlace] = wait
      nextPlace = (nextPlace + 1) % Self.remembered
    }
  }

  /// How long a read waits before it is asked for again: four times what nine in ten of its peers
  /// took; nil while too few are known.
  package var patience: Duration? {
    guard waits.count >= Self.leastKnown else { return nil }
    return max(Self.leastPatience, waits.sorted()[waits.count * 9 / 10] * 4)
  }

  /// Takes the right to send one second request; false where too many were sent.
  package mutating func take() -> Bool {
    guard credit >= 1 else { return false }
    credit -= 1
    return true
  }
}
