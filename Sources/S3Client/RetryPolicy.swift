/// When a failed request is sent again: full-jitter backoff within a deadline, as the AWS SDKs'
/// standard mode does it (docs/reliability.md).
///
/// Pure: it is given the time and the random number, and holds nothing of a transfer but counts.
package struct RetryPolicy: Hashable, Sendable {
  /// Of a transient failure; doubled by each further one.
  package var baseDelay: Duration = .milliseconds(50)

  /// Of a reply that says "slow down".
  package var throttledBaseDelay: Duration = .seconds(1)

  package var maxDelay: Duration = .seconds(20)

  /// How far a server's Retry-After may lengthen the delay.
  package var maxExtraDelay: Duration = .seconds(5)

  /// Requests for one range; counted anew after `attemptBytes` of it.
  package var maxAttempts = 10

  /// Replies that make no sense are asked for again less often (docs/reliability.md, S10 and S26).
  package var maxBadReplies = 3

  /// How long a range may go without a byte: `--retry-timeout`.
  package var timeout: Duration = .seconds(60)

  /// A long range outlives more broken connections than a short one: 8 MiB, the usual GET.
  package var attemptBytes: Int64 = 8 * 1024 * 1024

  package init() {}

  /// The delay before a retry.
  ///
  /// - Parameters:
  ///   - number: 0 for the first retry.
  ///   - cause: What went wrong.
  ///   - retryAfter: What the server asked for.
  ///   - fraction: Random, within `0..<1`.
  /// - Returns: rand · min(base · 2^number, 20 s), nearer to what the server asked for, by 5 s at
  ///   most; nothing for the first retry after a reset.
  package func delay(
    ofRetry number: Int,
    cause: RetryCause,
    retryAfter: Duration?,
    fraction: Double
  ) -> Duration {
    if cause == .reset, number == 0 { return .zero }
    let base = cause == .throttled ? throttledBaseDelay : baseDelay
    let doubled = base * (1 << min(max(number, 0), 16))
    let backoff = min(doubled, maxDelay) * fraction
    guard let retryAfter else { return backoff }
    return min(max(retryAfter, backoff), backoff + maxExtraDelay)
  }
}

/// Why an attempt failed, as far as the retry depends on it.
package enum RetryCause: Hashable, Sendable {
  /// The connection broke.
  case reset

  /// The server is sick, or does not answer.
  case transient

  /// The server asks for fewer requests.
  case throttled

  /// What came is not what was asked for.
  case badReply

  /// Tokens that a retry takes out of the quota.
  var cost: Int { self == .throttled ? 5 : 14 }
}

/// What one range has been through.
package struct RetryState: Hashable, Sendable {
  package private(set) var attempts = 0
  package private(set) var badReplies = 0

  /// When the first attempt began, or the last byte came.
  package private(set) var since: ContinuousClock.Instant

  private var bytesAtReset: Int64 = 0
  private var attemptsBefore = 0
  private var cutsShort = 0
  package private(set) var tokensTaken = 0

  package init(since: ContinuousClock.Instant) {
    self.since = since
  }

  package var totalAttempts: Int { attemptsBefore + attempts }

  /// Whether one more attempt may end before it has stalled for the whole of the stall time.
  package var mayCutShort: Bool { cutsShort < Self.maxCutsShort }

  /// Of ten attempts, so that those that are left outlast a store that stands still for half a minute.
  private static let maxCutsShort = 3

  package mutating func cutShort() { cutsShort += 1 }

  /// Notes an attempt; the deadline runs from the first one, not from the wait for its turn.
  package mutating func began(at now: ContinuousClock.Instant) {
    if totalAttempts == 0 { since = now }
    attempts += 1
  }

  /// The last attempt did not fail: it was redirected, or brought a part.
  package mutating func wentOn() {
    attempts -= 1
    attemptsBefore += 1
  }

  /// Notes that bytes have come: the deadline starts anew, after 8 MiB the attempts too.
  package mutating func advanced(
    to bytes: Int64,
    at now: ContinuousClock.Instant,
    _ policy: RetryPolicy
  ) {
    since = max(since, now)
    guard bytes - bytesAtReset >= policy.attemptBytes else { return }
    bytesAtReset = bytes
    attemptsBefore += attempts
    attempts = 0
    badReplies = 0
    cutsShort = 0
  }

  /// Notes that this process was stopped, or the machine asleep: that is no time of the range's.
  package mutating func slept(_ time: Duration) {
    since += time
  }

  /// Decides what follows a failed attempt; nil: no further one.
  package mutating func delay(
    after cause: RetryCause,
    retryAfter: Duration?,
    now: ContinuousClock.Instant,
    fraction: Double,
    policy: RetryPolicy,
    quota: inout RetryQuota
  ) -> Duration? {
    if cause == .badReply { badReplies += 1 }
    guard attempts < policy.maxAttempts, badReplies <= policy.maxBadReplies else { return nil }
    let delay = policy.delay(
      ofRetry: max(0, attempts - 1),
      cause: cause,
      retryAfter: retryAfter,
      fraction: fraction
    )
    guard now + delay <= since + policy.timeout else { return nil }
    if quota.take(cause.cost) { tokensTaken += cause.cost }
    return delay
  }

  package mutating func succeeded(quota: inout RetryQuota) {
    quota.giveBack(max(1, tokensTaken))
    tokensTaken = 0
  }
}

/// The retries that all requests of a store share, so that a sick server is not hammered.
///
/// Empty, it opens the circuit: then one request a second goes out as a probe, until one succeeds.
package struct RetryQuota: Hashable, Sendable {
  package static let capacity = 500
  package static let probeInterval: Duration = .seconds(1)

  package private(set) var tokens = capacity
  package private(set) var isOpen = false
  private var nextProbe: ContinuousClock.Instant?

  package init() {}

  /// False, and the circuit open, where there are too few.
  package mutating func take(_ cost: Int) -> Bool {
    guard tokens >= cost else {
      isOpen = true
      return false
    }
    tokens -= cost
    return true
  }

  package mutating func giveBack(_ cost: Int) {
    tokens = min(Self.capacity, tokens + cost)
    isOpen = false
    nextProbe = nil
  }

  /// Whether a request may start now; asking counts as starting.
  package mutating func mayStart(at now: ContinuousClock.Instant) -> Bool {
    guard isOpen else { return true }
    if let nextProbe, now < nextProbe { return false }
    nextProbe = now + Self.probeInterval
    return true
  }
}
