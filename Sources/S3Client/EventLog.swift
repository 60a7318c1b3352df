import Logging
import Remote

/// Writes the store's log lines, at most one a second for each event and object.
///
/// A line's text is for people, its metadata for machines, with the event's name under `event`.
/// Confined to the loop's thread.
struct EventLog {
  /// Objects in trouble at once; beyond that the oldest counts are forgotten.
  private static let maxRemembered = 1024

  private let logger: Logger
  private var last: [String: (at: ContinuousClock.Instant, suppressed: Int)] = [:]

  init(_ logger: Logger) {
    self.logger = logger
  }

  mutating func write(
    _ level: Logger.Level,
    _ event: String,
    _ text: @autoclosure () -> String,
    about what: String = "",
    _ metadata: Logger.Metadata = [:]
  ) {
    guard level >= logger.logLevel else { return }
    let name = event + " " + what
    let now = ContinuousClock.now
    var suppressed = 0
    if let previous = last[name] {
      guard now - previous.at >= .seconds(1) else {
        last[name]?.suppressed += 1
        return
      }
      suppressed = previous.suppressed
    }
    if last.count >= Self.maxRemembered { last = [:] }
    last[name] = (now, 0)
    var metadata = metadata
    metadata["event"] = "\(event)"
    if !what.isEmpty { metadata["what"] = "\(what)" }
    if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
    logger.log(level: level, "\(text())", metadata: metadata)
  }
}
