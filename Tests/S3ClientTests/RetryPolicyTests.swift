import S3Client
import Testing

@Suite struct RetryPolicyTests {
  private let policy = RetryPolicy()
  private let start = ContinuousClock.now

  @Test("delays double to 20 s, from 50 ms or, when throttled, from 1 s, times the random number")
  func delays() {
    func delay(_ number: Int, _ cause: RetryCause, _ fraction: Double) -> Duration {
      policy.delay(ofRetry: number, cause: cause, retryAfter: nil, fraction: fraction)
    }
    #expect(delay(0, .transient, 1) == .milliseconds(50))
    #expect(delay(3, .transient, 0.5) == .milliseconds(200))
    #expect(delay(2, .throttled, 1) == .seconds(4))
    #expect(delay(60, .transient, 1) == .seconds(20))
    #expect(delay(5, .transient, 0) == .zero)
    #expect(delay(0, .reset, 1) == .zero)
    #expect(delay(1, .reset, 1) == .milliseconds(100))
  }

  @Test("Retry-After is honoured, up to 5 s beyond the delay")
  func retryAfter() {
    func delay(_ retryAfter: Duration) -> Duration {
      policy.delay(ofRetry: 0, cause: .throttled, retryAfter: retryAfter, fraction: 0.5)
    }
    #expect(delay(.milliseconds(100)) == .milliseconds(500))
    #expect(delay(.seconds(3)) == .seconds(3))
    #expect(delay(.seconds(3600)) == .milliseconds(5500))
  }

  @Test("ten attempts for a range, ten more after 8 MiB of it")
  func attempts() {
    var quota = RetryQuota()
    var state = RetryState(since: start)
    func fail() -> Duration? {
      state.began(at: start)
      return state.delay(
        after: .reset,
        retryAfter: nil,
        now: start,
        fraction: 0,
        policy: policy,
        quota: &quota
      )
    }
    let delays = (1...10).map { _ in fail() }
    #expect(delays.map { $0 != nil } == Array(repeating: true, count: 9) + [false])
    state.advanced(to: 8 << 20, at: start, policy)
    #expect(fail() != nil)
    #expect(state.totalAttempts == 11)
  }

  @Test("no retry begins after the deadline, which starts anew with each byte")
  func deadline() {
    var quota = RetryQuota()
    var state = RetryState(since: start)
    func delay(_ seconds: Int) -> Duration? {
      state.delay(
        after: .transient,
        retryAfter: nil,
        now: start + .seconds(seconds),
        fraction: 0,
        policy: policy,
        quota: &quota
      )
    }
    #expect(delay(60) != nil)
    #expect(delay(61) == nil)
    state.advanced(to: 1, at: start + .seconds(30), policy)
    #expect(delay(61) != nil)
    #expect(delay(91) == nil)
    // While the process was stopped nothing could have been done.
    state.slept(.seconds(300))
    #expect(delay(390) != nil)
    #expect(delay(391) == nil)
  }

  @Test("replies that make no sense are asked for again three times")
  func badReplies() {
    var quota = RetryQuota()
    var state = RetryState(since: start)
    let delays = (0..<4).map { _ in
      state.delay(
        after: .badReply,
        retryAfter: nil,
        now: start,
        fraction: 0,
        policy: policy,
        quota: &quota
      )
    }
    #expect(delays.map { $0 != nil } == [true, true, true, false])
  }

  @Test("an empty quota opens the circuit: one probe a second, until one succeeds")
  func circuit() {
    var quota = RetryQuota()
    let taken = (0..<35).map { _ in quota.take(14) } + [quota.take(5)]
    #expect(!taken.contains(false) && quota.tokens == 5 && !quota.isOpen)
    let isTaken = quota.take(14)
    #expect(!isTaken && quota.isOpen)
    let starts = [0, 999, 1000, 1001].map { quota.mayStart(at: start + .milliseconds($0)) }
    #expect(starts == [true, false, true, false])
    quota.giveBack(14)
    let startsAgain = quota.mayStart(at: start + .milliseconds(1002))
    #expect(!quota.isOpen && startsAgain)
    quota.giveBack(10_000)
    #expect(quota.tokens == 500)
  }

  @Test("the limit in flight is halved once a second, to 2, and grows by one in 16 successes")
  func inFlight() {
    var limit = InFlightLimit(most: 16)
    limit.throttled(at: start)
    limit.throttled(at: start + .milliseconds(500))
    #expect(limit.current == 8)
    for second in 1...4 { limit.throttled(at: start + .seconds(second)) }
    #expect(limit.current == 2)
    for _ in 0..<15 { limit.succeeded() }
    #expect(limit.current == 2)
    limit.succeeded()
    #expect(limit.current == 3)
    // The successes before it count as well.
    for _ in 0..<12 { limit.succeeded() }
    limit.throttled(at: start + .seconds(4.5))
    for _ in 0..<4 { limit.succeeded() }
    #expect(limit.current == 4)
    for _ in 0..<1000 { limit.succeeded() }
    #expect(limit.current == 16)
  }

  @Test("a stall is seen after the window, a slow but steady flow is not one")
  func speed() {
    func watch() -> SpeedWatch {
      SpeedWatch(window: .seconds(5), leastBytesPerSecond: 16 * 1024, startingAt: start)
    }
    var stalled = watch()
    stalled.received(1_000_000)
    let seen = (1...20).first { stalled.isTooSlow(at: start + .seconds($0)) }
    #expect(seen == 6)
    var steady = watch()
    for second in 1...20 {
      steady.received(17 * 1024)
      let isTooSlow = steady.isTooSlow(at: start + .seconds(second))
      #expect(!isTooSlow)
    }
    var paused = watch()
    var isTooSlow = [paused.isTooSlow(at: start + .seconds(4))]
    paused.restart(at: start + .seconds(100))
    isTooSlow += [104, 105].map { paused.isTooSlow(at: start + .seconds($0)) }
    #expect(isTooSlow == [false, false, true])
  }
}
