package import CoreMetrics
import Glibc
package import Logging
import Synchronization

/// Decides which events become lines, and hands these to the output and the ring.
package final class LogWriter: Sendable {
  package let level: Logger.Level

  private let output: any LogOutput
  private let events: EventLog
  private let throttle = Mutex(LogThrottle())
  private let counters: [Logger.Level: Counter]

  /// - Parameters:
  ///   - level: Below it, nothing goes to the output.
  ///   - output: Takes each line once.
  ///   - events: Takes the same lines, and every error besides, whatever the level and however
  ///     often: it must know why a read failed.
  ///   - metrics: Counts the events by level, whether or not they become lines.
  package init(
    level: Logger.Level,
    output: any LogOutput,
    events: EventLog,
    metrics: any MetricsFactory = NOOPMetricsHandler.instance
  ) {
    self.level = level
    let levels = Logger.Level.allCases.filter { $0 >= min(level, .error) }
    counters = Dictionary(
      uniqueKeysWithValues: levels.map { level in
        let counter = Counter(
          label: MountMetric.logEvents.name,
          dimensions: [("level", level.rawValue)],
          factory: metrics
        )
        return (level, counter)
      }
    )
    self.output = output
    self.events = events
  }

  package func write(_ level: Logger.Level, _ message: String, _ fields: [String: String]) {
    let isWanted = level >= self.level
    let isError = level >= .error
    guard isWanted || isError else { return }
    counters[level]?.increment()
    var suppressedCount = 0
    var isShown = isWanted
    if isWanted, let event = fields["event"] {
      let key = LogThrottle.Key(event: event, shard: fields["shard"] ?? "")
      switch throttle.withLock({ $0.verdict(for: key, at: Self.now) }) {
      case .pass(let count): suppressedCount = count
      case .suppress: isShown = false
      }
    }
    guard isShown || isError else { return }
    let line = LogLine(
      event: fields["event"] ?? "note",
      level: level.rawValue,
      fields: Self.ordered(fields),
      suppressedCount: suppressedCount,
      message: message
    )
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    events.append(line.stamped(time))
    if isShown { output.write(line, level: level, time: time) }
  }

  /// The shard first, as the one that lines are looked up by, then by name.
  private static func ordered(_ fields: [String: String]) -> [(key: String, value: String)] {
    var ordered: [(key: String, value: String)] = []
    if let shard = fields["shard"] { ordered.append((key: "shard", value: shard)) }
    for key in fields.keys.sorted() where key != "event" && key != "shard" {
      ordered.append((key: key, value: fields[key] ?? ""))
    }
    return ordered
  }

  private static var now: Duration {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
  }
}

/// The back end of swift-log: metadata become the fields of a line.
package struct LineLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?
  package var logLevel: Logger.Level

  private let writer: LogWriter

  package init(writer: LogWriter) {
    self.writer = writer
    // Errors get through to the ring, whatever the level.
    logLevel = min(writer.level, .error)
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var fields: [String: String] = [:]
    let sources = [metadata, metadataProvider?.get() ?? [:], event.metadata ?? [:]]
    for source in sources {
      for (key, value) in source {
        fields[key] = "\(value)"
      }
    }
    if let error = event.error { fields["error"] = "\(error)" }
    writer.write(event.level, event.message.description, fields)
  }
}
