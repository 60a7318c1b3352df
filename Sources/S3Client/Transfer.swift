import Logging
import Remote

/// An exchange in the loop: waiting, in flight, or between two attempts.
///
/// Proof of safety: everything but the ticket's calls, which only send commands to the loop, is
/// used on the loop's thread alone; `exchange` is handed over with the first command.
final class Transfer: FetchTicket, @unchecked Sendable {
  enum State {
    case waiting
    case inFlight(Attempt)

    /// Its next attempt is due then.
    case delayed(until: ContinuousClock.Instant)

    /// Until the origin has learnt how to ask better.
    case learning

    /// All bytes are there, and the receiver has not yet taken the last of them.
    case parked
    case finished
  }

  let exchange: any Exchange
  private(set) weak var loop: TransferLoop?
  var priority: FetchPriority
  var state = State.waiting
  var retry: RetryState
  var lastFailure = ""
  var lastEnd: AttemptEnd?
  var lastCause: RetryCause?

  /// A second attempt beside the one in flight, while neither has got a reply.
  var rival: Attempt?

  /// The attempt whose reply counts: the first to get one.
  weak var claimant: Attempt?
  let startedAt: ContinuousClock.Instant

  /// When the transfer ends, whatever came; nil: never, as long as bytes come.
  let deadline: ContinuousClock.Instant?

  init(
    _ exchange: any Exchange,
    priority: FetchPriority,
    deadline: ContinuousClock.Instant?,
    loop: TransferLoop
  ) {
    let now = ContinuousClock.now
    self.exchange = exchange
    self.priority = priority
    self.deadline = deadline
    self.loop = loop
    startedAt = now
    retry = RetryState(since: now)
  }

  func cancel() {
    loop?.send(.cancel(self))
  }

  func resume() {
    loop?.send(.resume(self))
  }

  /// Whether an attempt's reply counts; the first that asks is told so.
  func claim(for attempt: Attempt) -> Bool {
    if claimant == nil { claimant = attempt }
    return claimant === attempt
  }

  func raisePriority() {
    loop?.send(.raise(self))
  }
}

/// The limits of a loop's transfers.
package struct TransferOptions: Sendable {
  /// Requests in flight; a reader's may go a few beyond it.
  package var maxConnections = 32

  /// So that what a reader waits for never waits behind read-ahead.
  package var extraReaderSlots = 8
  package var connectTimeout: Duration = .seconds(5)

  /// docs/reliability.md, S7: from the start of the request to the head's last byte.
  package var headTimeout: Duration = .seconds(10)

  /// docs/reliability.md, S6.
  package var stallTime: Duration = .seconds(5)
  package var leastBytesPerSecond: Int64 = 16 * 1024
  package var retry = RetryPolicy()
  package var trust = ServerTrust.system
  package var proxies = ProxySettings(environment: [:])

  /// Of all replies' bodies together: `--bwlimit`.
  package var maxBytesPerSecond: Int64?

  /// `--tpslimit`.
  package var maxRequestsPerSecond: Int?

  package init() {}
}

extension TransferOptions {
  /// Says at the start what is wrong with the connections to a server, or dangerous.
  func check(_ server: ServerAddress, _ logger: Logger) throws(StoreError) {
    try trust.check()
    if trust == .anybody, server.isSecure {
      logger.warning(
        "no certificate is verified: whoever sits between can read and change everything",
        metadata: ["event": "tls.unverified"]
      )
    }
    if !server.isSecure, !server.isLoopback {
      logger.warning(
        "\(server.origin) is talked to in clear: anybody on the way can read and change everything",
        metadata: ["event": "net.plaintext"]
      )
    }
  }
}
