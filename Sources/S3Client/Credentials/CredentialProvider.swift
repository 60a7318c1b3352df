package import Logging
package import Remote
import Synchronization

/// The credentials of a store: those of the first source that is configured, renewed before they end.
///
/// Whoever signs takes `current` and never waits. Near the end the first request to come has the
/// source asked on a thread of its own, while this one and all others go on with what is there. An
/// idle mount asks nobody; one that wakes up with credentials of yesterday is refused once and then
/// waits for new ones.
package final class CredentialProvider: Sendable {
  /// How the error begins that says that no source is configured.
  package static let noneFound = "no credentials found in"

  /// How an inquiry at the source ended.
  package enum Renewal: Hashable, Sendable {
    case renewed

    /// The source has what we had.
    case unchanged
    case failed(StoreError)
  }

  private struct State {
    var plan: RefreshPlan
    var waiters: [@Sendable (Renewal) -> Void] = []
    var lastRenewal = Renewal.unchanged

    mutating func settle(
      _ found: Credentials?,
      _ failure: StoreError?,
      at now: CalendarTime
    ) -> (renewal: Renewal, waiters: [@Sendable (Renewal) -> Void], credentials: Credentials) {
      if let found {
        lastRenewal = plan.received(found, at: now, .now) ? .renewed : .unchanged
      } else {
        plan.failed(.now)
        lastRenewal = failure.map { .failed($0) } ?? .unchanged
      }
      defer { waiters = [] }
      return (lastRenewal, waiters, plan.credentials)
    }
  }

  private let source: (any CredentialSource)?

  /// Nil inside: nothing is signed.
  private let state: Mutex<State?>
  private let clock: ServerClock
  private let logger: Logger

  /// Asks the sources in turn; may block.
  ///
  /// - Parameters:
  ///   - sources: In the order in which they count.
  ///   - clock: The time by which an end is judged.
  ///   - logger: Gets source and end, no secret ever.
  /// - Throws: `StoreError.credentials` where a configured source fails, or none is configured.
  package init(
    _ sources: [any CredentialSource],
    clock: ServerClock = ServerClock(),
    logger: Logger
  ) throws(StoreError) {
    let (source, credentials) = try Self.first(of: sources)
    self.source = source
    self.clock = clock
    self.logger = logger
    state = Mutex(State(plan: RefreshPlan(credentials, at: clock.now)))
    logger.debug(
      "requests are signed with the credentials of \(credentials.source)\(credentials.untilText)",
      metadata: Self.metadata("cred.source", credentials)
    )
  }

  /// Signs nothing: `--no-sign-request`.
  package init() {
    source = nil
    state = Mutex(nil)
    clock = ServerClock()
    logger = Logger(label: "wdsfs") { _ in SwiftLogNoOpLogHandler() }
  }

  /// What signs the next request, without waiting; nil where none is signed.
  ///
  /// Has the source asked where the end is near.
  package var current: Credentials? {
    let now = clock.now
    let (credentials, begins) = state.withLock { state in
      (state?.plan.credentials, state?.plan.beginsNearEnd(at: now, .now) ?? false)
    }
    if begins { ask() }
    return credentials
  }

  /// Has the source asked once for all whose requests were refused.
  ///
  /// - Parameters:
  ///   - refused: What signed the refused request.
  ///   - reason: What the server says.
  ///   - answer: Called once: at once, or later on another thread.
  func renew(
    after refused: Credentials,
    _ reason: RefreshPlan.Refusal,
    answer: @escaping @Sendable (Renewal) -> Void
  ) {
    let (step, last) = state.withLock { state in
      let step = state?.plan.step(after: refused, reason, .now) ?? .giveUp
      if step == .begin || step == .join { state?.waiters.append(answer) }
      return (step, state?.lastRenewal ?? .unchanged)
    }
    switch step {
    case .useNewer: answer(.renewed)
    case .giveUp: answer(last == .renewed ? .unchanged : last)
    case .join: return
    case .begin: ask()
    }
  }

  /// Asks the source on a thread of its own, once: the plan has said that it is our turn.
  private func ask() {
    WorkerThread.start(name: "wdsfs-cred") { [self] in
      guard let source else { return }
      var found: Credentials?
      var failure: StoreError?
      do throws(StoreError) {
        found = try source.credentials()
        if found == nil { failure = .credentials("\(source.name) has no credentials any more") }
      } catch {
        failure = error
      }
      settle(found, failure)
    }
  }

  private func settle(_ found: Credentials?, _ failure: StoreError?) {
    let now = clock.now
    let settled = state.withLock { state in state?.settle(found, failure, at: now) }
    guard let settled else { return }
    log(settled.renewal, settled.credentials, now)
    for waiter in settled.waiters { waiter(settled.renewal) }
  }

  // MARK: - Words

  private func log(_ renewal: Renewal, _ credentials: Credentials, _ now: CalendarTime) {
    switch renewal {
    case .renewed:
      logger.info(
        "new credentials from \(credentials.source)\(credentials.untilText)",
        metadata: Self.metadata("cred.refresh", credentials)
      )
    case .unchanged:
      logger.debug(
        "\(credentials.source) has no newer credentials",
        metadata: Self.metadata("cred.refresh", credentials)
      )
    case .failed(let error):
      let isOver = credentials.expiry.map { $0.seconds <= now.seconds } ?? false
      logger.log(
        level: isOver ? .error : .warning,
        "no new credentials: \(error)\(isOver ? "" : "; those there are stay in use")",
        metadata: Self.metadata(isOver ? "cred.failed" : "cred.source_failed", credentials)
      )
    }
  }

  private static func metadata(_ event: String, _ credentials: Credentials) -> Logger.Metadata {
    var metadata: Logger.Metadata = ["event": "\(event)", "source": "\(credentials.source)"]
    if let expiry = credentials.expiry { metadata["until"] = "\(expiry.iso8601)" }
    return metadata
  }

  private static func first(
    of sources: [any CredentialSource]
  ) throws(StoreError) -> (any CredentialSource, Credentials) {
    for source in sources {
      if let credentials = try source.credentials() { return (source, credentials) }
    }
    throw .credentials(
      "\(noneFound) \(sources.map(\.name).joined(separator: ", ")); set "
        + "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with --profile, or give "
        + "--no-sign-request for a public bucket"
    )
  }
}
