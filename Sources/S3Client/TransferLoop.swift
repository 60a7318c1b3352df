import CCurl
import Instruments
import Logging
import Remote
import Synchronization

/// The thread that owns libcurl's handles; others queue work and wake it.
final class TransferLoop: Sendable {
  enum Command: Sendable {
    case start(Transfer)
    case cancel(Transfer)
    case resume(Transfer)
    case raise(Transfer)

    /// What the transfer waited for is known; with the error where that does not help.
    case learnt(Transfer, StoreError?)
  }

  /// Proof of safety of the pointer: `curl_multi_wakeup` may be called from any thread, and only
  /// under the lock while it is set; the loop's thread takes it out before it frees it.
  private struct Mailbox: @unchecked Sendable {
    var commands: [Command] = []
    var multi: UnsafeMutableRawPointer?
    var isShutDown = false
  }

  private let mailbox = Mutex(Mailbox())
  private let counters = Mutex(StoreStatistics())

  /// While requests wait because the store has asked for fewer.
  private let heldBack = Mutex(Stopwatch())
  private let wholeTimes = LatencyHistogram()
  private let firstByteTimes = LatencyHistogram()
  let options: TransferOptions

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - options: Limits and retries.
  ///   - endpoint: For messages.
  ///   - generator: Makes the jitter of the delays.
  ///   - logger: Gets the events; no secret ever.
  init(
    options: TransferOptions,
    endpoint: String,
    generator: any RandomNumberGenerator & Sendable,
    logger: Logger
  ) {
    self.options = options
    _ = TransferLoop.globalSetUp
    let multi = curl_multi_init()
    guard let multi else { preconditionFailure("curl_multi_init gave no handle") }
    mailbox.withLock { $0.multi = multi }
    // libcurl makes do without its wake-up where a descriptor for it was not to be had.
    let canBeWoken = curl_multi_wakeup(multi) == CURLM_OK
    let handle = MultiPointer(raw: multi)
    WorkerThread.start(name: "wdsfs-net") { [self] in
      let scheduler = TransferScheduler(
        loop: self,
        multi: handle.raw,
        canBeWoken: canBeWoken,
        endpoint: endpoint,
        generator: generator,
        log: TransferLog(logger)
      )
      scheduler.run()
      mailbox.withLock { $0.multi = nil }
      curl_multi_cleanup(handle.raw)
    }
  }

  /// Queues an exchange; it is answered on the loop's thread.
  ///
  /// - Parameters:
  ///   - exchange: Handed over: the caller does not touch it any more.
  ///   - priority: Readers go first.
  ///   - deadline: When it ends, whatever came.
  /// - Returns: A hold on it.
  func start(
    _ exchange: sending any Exchange,
    priority: FetchPriority,
    deadline: ContinuousClock.Instant? = nil
  ) -> any FetchTicket {
    let transfer = Transfer(exchange, priority: priority, deadline: deadline, loop: self)
    if !send(.start(transfer)) { transfer.exchange.finish(.cancelled) }
    return transfer
  }

  /// False where the loop has been shut down.
  @discardableResult
  func send(_ command: Command) -> Bool {
    mailbox.withLock { mailbox in
      guard !mailbox.isShutDown else { return false }
      mailbox.commands.append(command)
      if let multi = mailbox.multi { curl_multi_wakeup(multi) }
      return true
    }
  }

  /// Ends the thread; what is under way is answered with `StoreError.cancelled`.
  func shutDown() {
    mailbox.withLock { mailbox in
      mailbox.isShutDown = true
      if let multi = mailbox.multi { curl_multi_wakeup(multi) }
    }
  }

  /// Whether a command has come since they were last taken.
  var hasCommands: Bool {
    mailbox.withLock { !$0.commands.isEmpty || $0.isShutDown }
  }

  /// The commands since the last call, and whether they are the last ones ever.
  func takeCommands() -> (commands: [Command], isShutDown: Bool) {
    mailbox.withLock { mailbox in
      let commands = mailbox.commands
      if !commands.isEmpty { mailbox.commands = [] }
      return (commands, mailbox.isShutDown)
    }
  }

  var statistics: StoreStatistics {
    var statistics = counters.withLock { $0 }
    let heldBack = heldBack.withLock { $0 }
    statistics.heldBackNanoseconds = heldBack.nanoseconds(at: .now)
    statistics.isHoldingBack = heldBack.isRunning
    return statistics
  }

  var requestTimes: RequestTimes {
    var times = RequestTimes()
    times.whole = wholeTimes.value
    times.firstByte = firstByteTimes.value
    return times
  }

  func count(_ change: (inout StoreStatistics) -> Void) {
    counters.withLock { change(&$0) }
  }

  /// Notes how long an attempt took that came to its end.
  func note(_ attempt: Attempt) {
    wholeTimes.observe(since: attempt.startedAt)
    if let nanoseconds = attempt.headNanoseconds {
      firstByteTimes.observe(nanoseconds: nanoseconds)
    }
  }

  func note(isHoldingBack: Bool) {
    heldBack.withLock { $0.set(isRunning: isHoldingBack, at: .now) }
  }

  private struct MultiPointer: @unchecked Sendable {
    // Proof of safety: handed to the loop's thread, which alone uses it from then on.
    let raw: UnsafeMutableRawPointer
  }

  /// Before any thread of ours uses libcurl.
  static let globalSetUp = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
}
