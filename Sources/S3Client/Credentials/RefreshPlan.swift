/// When credentials are asked for anew, and what a refused request may hope for.
///
/// Pure: it is given both clocks, the one on the wall for the end that a source names, the steady
/// one for its own pauses.
package struct RefreshPlan: Sendable {
  /// Why a server refused credentials.
  package enum Refusal: Hashable, Sendable {
    /// Their time is over: only newer ones help.
    case expired

    /// They may have been replaced at their source, or the request may be forbidden for good.
    case denied
  }

  /// What follows a refusal.
  package enum Step: Hashable, Sendable {
    /// Newer credentials are there already.
    case useNewer

    /// The source is asked now, by whoever was told this.
    case begin

    /// Somebody else is asking it.
    case join

    /// It was asked a moment ago.
    case giveUp
  }

  /// The tools of AWS begin a quarter of an hour before the end; a short life leaves less.
  package static let longestLead: Int64 = 15 * 60

  /// A request that is forbidden for good must not ask an STS or a helper program again and again.
  package static let leastDeniedPause: Duration = .seconds(10)
  package static let mostDeniedPause: Duration = .seconds(600)

  package private(set) var credentials: Credentials
  private var lifeSeconds: Int64
  private var isUnderWay = false

  /// Inquiries in a row that brought nothing newer, and when the last of them ended.
  private var fruitless = 0
  private var lastFruitless: ContinuousClock.Instant?
  private var deniedPause = leastDeniedPause
  private var lastDenied: ContinuousClock.Instant?

  package init(_ credentials: Credentials, at now: CalendarTime) {
    self.credentials = credentials
    lifeSeconds = Self.life(of: credentials, at: now)
  }

  /// Whether they end soon and nobody has begun to renew them; true counts as having begun.
  package mutating func beginsNearEnd(
    at now: CalendarTime,
    _ steady: ContinuousClock.Instant
  ) -> Bool {
    guard let expiry = credentials.expiry, !isUnderWay else { return false }
    let lead = min(Self.longestLead, lifeSeconds / 4)
    guard expiry.seconds <= now.seconds.addingClamped(lead) else { return false }
    guard hasPaused(atMost: 60, steady) else { return false }
    isUnderWay = true
    return true
  }

  /// Decides what a refused request does.
  ///
  /// - Parameters:
  ///   - refused: What signed the request.
  ///   - reason: What the server says.
  ///   - steady: Now.
  /// - Returns: What its sender has to do; `begin` to one of those that ask at once.
  package mutating func step(
    after refused: Credentials,
    _ reason: Refusal,
    _ steady: ContinuousClock.Instant
  ) -> Step {
    guard refused.isSame(as: credentials) else { return .useNewer }
    if isUnderWay { return .join }
    switch reason {
    case .expired:
      guard hasPaused(atMost: 10, steady) else { return .giveUp }
    case .denied:
      if let lastDenied {
        let since = steady - lastDenied
        guard since >= deniedPause else { return .giveUp }
        deniedPause =
          since > Self.mostDeniedPause * 2
          ? Self.leastDeniedPause : min(deniedPause * 2, Self.mostDeniedPause)
      }
      lastDenied = steady
    }
    isUnderWay = true
    return .begin
  }

  /// Takes what the source gave; false where it is what we had.
  package mutating func received(
    _ found: Credentials,
    at now: CalendarTime,
    _ steady: ContinuousClock.Instant
  ) -> Bool {
    isUnderWay = false
    guard !found.isSame(as: credentials) else {
      // The same keys with a later end: a source may lengthen their life.
      if found.expiry != credentials.expiry { lifeSeconds = Self.life(of: found, at: now) }
      credentials = found
      noteFruitless(steady)
      return false
    }
    credentials = found
    lifeSeconds = Self.life(of: found, at: now)
    fruitless = 0
    lastFruitless = nil
    return true
  }

  /// The source failed: what we have stays.
  package mutating func failed(_ steady: ContinuousClock.Instant) {
    isUnderWay = false
    noteFruitless(steady)
  }

  private mutating func noteFruitless(_ steady: ContinuousClock.Instant) {
    fruitless += 1
    lastFruitless = steady
  }

  /// 1, 2, 4 … seconds after an inquiry that brought nothing.
  private func hasPaused(atMost seconds: Int, _ steady: ContinuousClock.Instant) -> Bool {
    guard let lastFruitless else { return true }
    return steady - lastFruitless >= .seconds(min(seconds, 1 << min(max(fruitless - 1, 0), 16)))
  }

  private static func life(of credentials: Credentials, at now: CalendarTime) -> Int64 {
    guard let expiry = credentials.expiry else { return 0 }
    return max(0, expiry.seconds.subtractingReportingOverflow(now.seconds).partialValue)
  }
}

extension Int64 {
  fileprivate func addingClamped(_ other: Int64) -> Int64 {
    let (sum, isOverflow) = addingReportingOverflow(other)
    return isOverflow ? .max : sum
  }
}
