/// Decides when a read has waited so much longer than its peers that it is asked for a second time.
///
/// One request of many hangs in every large store now and then; the second one mostly goes to another
/// server. Bounded, so that a store that is slow as a whole is not asked for everything twice: one
/// such request for twenty that went well.
package struct HedgePlan: Hashable, Sendable {
  private static let creditOfSuccess = 0.05
  private static let mostCredit = 4.0

  /// How long the latest good replies let wait for their heads.
  private var heads = LatestWaits(leastPatience: .milliseconds(200))

  /// The longest silence within each of the latest good bodies.
  ///
  /// Its patience is longer: a lost packet alone may be sent again only after a quarter of a second.
  private var silences = LatestWaits(leastPatience: .milliseconds(500))
  private var credit = 1.0

  package init() {}

  /// Notes a good reply.
  ///
  /// - Parameters:
  ///   - wait: How long its head took.
  ///   - silence: The longest time without a byte of its body.
  package mutating func succeeded(after wait: Duration, longestSilence silence: Duration) {
    credit = min(Self.mostCredit, credit + Self.creditOfSuccess)
    heads.note(wait)
    silences.note(silence)
  }

  /// How long a read waits for its reply before it is asked for again; nil while too little is known.
  package var patience: Duration? { heads.patience }

  /// How long a body that a reader waits for may be silent before the rest of it is asked for again.
  package var bodyPatience: Duration? { silences.patience }

  /// Takes the right to send one second request; false where too many were sent.
  package mutating func take() -> Bool {
    guard credit >= 1 else { return false }
    credit -= 1
    return true
  }
}

/// The latest of many waits, and how long is much longer than these.
private struct LatestWaits: Hashable, Sendable {
  private static let remembered = 64
  private static let leastKnown = 16

  private let leastPatience: Duration
  private var waits: [Duration] = []
  private var nextPlace = 0

  init(leastPatience: Duration) {
    self.leastPatience = leastPatience
  }

  mutating func note(_ wait: Duration) {
    if waits.count < Self.remembered {
      waits.append(wait)
    } else {
      waits[nextPlace] = wait
      nextPlace = (nextPlace + 1) % Self.remembered
    }
  }

  /// Four times what nine in ten took; nil while too few are known.
  var patience: Duration? {
    guard waits.count >= Self.leastKnown else { return nil }
    return max(leastPatience, waits.sorted()[waits.count * 9 / 10] * 4)
  }
}
