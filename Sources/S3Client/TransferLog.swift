import Logging
import Remote

/// What an exchange has to say for the log, beside how its attempts ended.
struct Remark {
  let level: Logger.Level
  let event: String
  let text: String

  /// Worth one line for each store.
  var isOnce = false
}

/// What a server said last, for the log: the figures that its operators ask for.
struct ReplyNote {
  let status: Int
  let code: String
  let requestID: String

  init(_ head: ReplyHead, code: String = "") {
    status = head.status
    self.code = code
    requestID = PrintableName.text((head["x-amz-request-id"] ?? "").utf8.prefix(128))
  }
}

/// Puts into the log what becomes of transfers, in the same words for each kind.
///
/// Confined to the loop's thread.
struct TransferLog {
  private var log: EventLog
  private var saidOnce: Set<String> = []

  init(_ logger: Logger) {
    log = EventLog(logger)
  }

  /// A line about the store as a whole.
  mutating func write(_ level: Logger.Level, _ event: String, _ text: String) {
    log.write(level, event, text)
  }

  mutating func retried(_ transfer: Transfer, _ cause: RetryCause, after delay: Duration) {
    let exchange = transfer.exchange
    let event =
      switch (cause, transfer.lastEnd) {
      case (.throttled, _): "s3.throttled"
      case (.badReply, _): exchange.badReplyEvent
      case (_, .stalled): "s3.stalled"
      case (_, .unresolved): "net.dns"
      case (_, .noConnection): "net.connect"
      case (.reset, _) where exchange.usefulBytes > 0: "s3.resumed"
      default: "s3.retry"
      }
    let milliseconds = delay == .zero ? 0 : delay.wholeMilliseconds
    log.write(
      cause == .throttled || cause == .badReply ? .warning : .info,
      event,
      "\(exchange.what): \(transfer.lastFailure); again in \(milliseconds) ms",
      about: exchange.what,
      Self.keys(transfer).merging(["ms": "\(milliseconds)"]) { $1 }
    )
  }

  /// Once more in the words of whoever answers the kernel, if anybody waits: hence no error here,
  /// but where no server is to be trusted.
  mutating func failed(_ transfer: Transfer, _ error: StoreError) {
    var level = Logger.Level.debug
    let event: String
    switch (error, transfer.lastEnd) {
    case (_, .untrusted):
      event = "tls.failed"
      level = .error
    case (.noSuchObject, _): event = "shard.gone"
    case (.objectChanged, _): event = "shard.changed"
    case (.refused(_, "InvalidObjectState", _), _): event = "s3.archived"
    case (.refused, _): event = "s3.denied"
    case (.credentials, _): event = "cred.failed"
    default: event = "s3.failed"
    }
    log.write(
      level,
      event,
      "\(error)",
      about: transfer.exchange.what,
      Self.keys(transfer)
    )
  }

  mutating func hedged(_ transfer: Transfer, after wait: Duration) {
    let text = "no reply after \(wait.wholeMilliseconds) ms, asked for a second time"
    log.write(
      .info,
      "s3.hedged",
      "\(transfer.exchange.what): \(text)",
      about: transfer.exchange.what,
      Self.keys(transfer)
    )
  }

  mutating func remark(_ transfer: Transfer) {
    for remark in transfer.exchange.takeRemarks() {
      if remark.isOnce, !saidOnce.insert(remark.event).inserted { continue }
      log.write(
        remark.level,
        remark.event,
        "\(transfer.exchange.what): \(remark.text)",
        about: transfer.exchange.what,
        Self.keys(transfer)
      )
    }
  }

  private static func keys(_ transfer: Transfer) -> Logger.Metadata {
    var keys: Logger.Metadata = ["attempt": "\(transfer.retry.totalAttempts)"]
    for (key, value) in transfer.exchange.logKeys { keys[key] = "\(value)" }
    if let note = transfer.exchange.note {
      keys["status"] = "\(note.status)"
      if !note.code.isEmpty { keys["code"] = "\(note.code)" }
      if !note.requestID.isEmpty { keys["request_id"] = "\(note.requestID)" }
    }
    return keys
  }
}
