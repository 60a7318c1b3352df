import S3Client
import Testing

/// A plan behind a reference, since `#expect` calls nothing that mutates.
private final class Plan {
  private var plan: RefreshPlan

  init(_ credentials: Credentials, at now: CalendarTime) {
    plan = RefreshPlan(credentials, at: now)
  }

  var credentials: Credentials { plan.credentials }

  func beginsNearEnd(at now: CalendarTime, _ steady: ContinuousClock.Instant) -> Bool {
    plan.beginsNearEnd(at: now, steady)
  }

  func step(
    after refused: Credentials,
    _ reason: RefreshPlan.Refusal,
    _ steady: ContinuousClock.Instant
  ) -> RefreshPlan.Step {
    plan.step(after: refused, reason, steady)
  }

  func received(
    _ found: Credentials,
    at now: CalendarTime,
    _ steady: ContinuousClock.Instant
  ) -> Bool {
    plan.received(found, at: now, steady)
  }

  func failed(_ steady: ContinuousClock.Instant) {
    plan.failed(steady)
  }
}

@Suite struct RefreshPlanTests {
  private let start = ContinuousClock.now

  private func time(_ seconds: Int64) -> CalendarTime { CalendarTime(seconds: 1_000_000 + seconds) }

  private func keys(_ name: String, until end: Int64? = nil) -> Credentials {
    Credentials(
      accessKeyID: name,
      secretAccessKey: Secret("s"),
      sessionToken: nil,
      expiry: end.map { time($0) },
      source: "a test"
    )
  }

  @Test(
    "credentials are renewed a quarter of an hour before their end, of a short life in its last quarter",
    arguments: [(21_600, 20_700), (3600, 2700), (900, 675), (8, 6)]
  )
  func lead(life: Int64, due: Int64) {
    let plan = Plan(keys("a", until: life), at: time(0))
    #expect(!plan.beginsNearEnd(at: time(0), start))
    #expect(!plan.beginsNearEnd(at: time(due - 1), start))
    #expect(plan.beginsNearEnd(at: time(due), start))
    #expect(!plan.beginsNearEnd(at: time(due), start), "two inquiries at once")
    let isNewer = plan.received(keys("b", until: due + life), at: time(due), start)
    #expect(isNewer)
    #expect(plan.credentials.accessKeyID == "b")
    #expect(!plan.beginsNearEnd(at: time(due + 1), start))
  }

  @Test("credentials without an end are never renewed for their age")
  func endless() {
    let plan = Plan(keys("a"), at: time(0))
    #expect(!plan.beginsNearEnd(at: time(1 << 40), start))
  }

  @Test("a source that fails, or has nothing newer, is asked again after 1, 2, 4 … 60 seconds")
  func backoff() {
    let plan = Plan(keys("a", until: 3600), at: time(0))
    var now = start
    for (number, pause) in [1, 2, 4, 8, 16, 32, 60, 60].enumerated() {
      let begins = plan.beginsNearEnd(at: time(3000), now)
      #expect(begins)
      if number.isMultiple(of: 2) {
        plan.failed(now)
      } else {
        let isNewer = plan.received(keys("a", until: 3600), at: time(3000), now)
        #expect(!isNewer)
      }
      #expect(plan.credentials.accessKeyID == "a")
      let early = plan.beginsNearEnd(at: time(3000), now + .seconds(pause) - .milliseconds(1))
      #expect(!early)
      now += .seconds(pause)
    }
  }

  @Test("of many requests refused at once one has the source asked, the others wait for it")
  func singleFlight() {
    let plan = Plan(keys("a", until: 3600), at: time(0))
    #expect(plan.step(after: keys("a"), .expired, start) == .begin)
    #expect(plan.step(after: keys("a"), .expired, start) == .join)
    #expect(plan.step(after: keys("a"), .denied, start) == .join)
    #expect(!plan.beginsNearEnd(at: time(3600), start))
    let isNewer = plan.received(keys("b", until: 7200), at: time(3600), start)
    #expect(isNewer)
    #expect(plan.step(after: keys("a"), .expired, start) == .useNewer, "a straggler")
    #expect(plan.step(after: keys("b"), .expired, start) == .begin)
  }

  @Test("after an inquiry in vain the next refused requests give up at once, for some seconds")
  func givesUp() {
    let plan = Plan(keys("a"), at: time(0))
    var now = start
    for pause in [1, 2, 4, 8, 10, 10] {
      #expect(plan.step(after: keys("a"), .expired, now) == .begin)
      plan.failed(now)
      #expect(plan.step(after: keys("a"), .expired, now) == .giveUp)
      now += .seconds(pause)
    }
  }

  @Test("what is forbidden for good has the source asked ever more seldom")
  func denied() {
    let plan = Plan(keys("0"), at: time(0))
    var now = start
    // A role's session has new keys each time, and the request is refused each time.
    for (number, pause) in [10, 20, 40, 80, 160, 320, 600, 600].enumerated() {
      #expect(plan.step(after: keys("\(number)"), .denied, now) == .begin)
      _ = plan.received(keys("\(number + 1)"), at: time(0), now)
      let next = keys("\(number + 1)")
      #expect(plan.step(after: next, .denied, now) == .giveUp)
      #expect(plan.step(after: next, .denied, now + .seconds(pause - 1)) == .giveUp)
      now += .seconds(pause)
    }
    now += .seconds(3600)
    #expect(plan.step(after: keys("8"), .denied, now) == .begin)
    plan.failed(now)
    #expect(plan.step(after: keys("8"), .denied, now + .seconds(10)) == .begin)
  }

  @Test("an end that no clock reaches traps nowhere")
  func extremes() {
    for end in [Int64.min, -1, 0, Int64.max] {
      let keys = Credentials(
        accessKeyID: "a",
        secretAccessKey: Secret("s"),
        sessionToken: nil,
        expiry: CalendarTime(seconds: end),
        source: "a test"
      )
      for now in [Int64.min, 0, Int64.max] {
        let plan = Plan(keys, at: CalendarTime(seconds: now))
        _ = plan.beginsNearEnd(at: CalendarTime(seconds: Int64.max), start)
        _ = plan.received(keys, at: CalendarTime(seconds: now), start)
      }
    }
    #expect(CalendarTime(seconds: 1_369_353_600).iso8601 == "2013-05-24T00:00:00Z")
  }
}
