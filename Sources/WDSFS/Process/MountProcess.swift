package import Instruments
package import Logging

/// The process that serves a mount: its log, and the word it owes to whoever started it.
package struct MountProcess: Sendable {
  package let log: Logger

  /// The last lines of the log, for `/.wdsfs/log`.
  package let events: EventLog

  /// What is counted through swift-metrics.
  let registry: MetricRegistry

  private let status: StatusPipe?

  /// Nil where no service manager started us.
  package let notice: ServiceNotice?

  package init(
    log: Logger,
    events: EventLog,
    registry: MetricRegistry = MetricRegistry(),
    status: StatusPipe?,
    notice: ServiceNotice? = nil
  ) {
    self.log = log
    self.events = events
    self.registry = registry
    self.status = status
    self.notice = notice
  }

  /// Sets the process up; call it before any thread exists.
  ///
  /// - Parameters:
  ///   - settings: Where the log goes, and whether a core may be left.
  ///   - status: Nil in the foreground.
  /// - Returns: The process with its log open.
  /// - Throws: `.usage` where the log file cannot be opened.
  static func prepare(
    settings: MountSettings,
    status: StatusPipe?
  ) throws(Failure) -> MountProcess {
    ProcessSetUp.forServing(keepsCore: settings.keepsCore)
    if let status { ProcessSetUp.forBackground(keeping: status.descriptor) }
    let output = try logOutput(settings, isBackground: status != nil)
    let events = EventLog()
    let registry = MetricRegistry { MountMetric(rawValue: $0)?.help }
    let writer = LogWriter(
      level: settings.logLevel,
      output: output,
      events: events,
      metrics: registry
    )
    let log = Logger(label: "wdsfs") { _ in LineLogHandler(writer: writer) }
    for warning in settings.warnings {
      log.warning("\(warning.text)", metadata: ["event": "\(warning.event)"])
    }
    let notice = ServiceNotice(environment: ProcessEnvironment.variables)
    return MountProcess(
      log: log,
      events: events,
      registry: registry,
      status: status,
      notice: notice
    )
  }

  /// Call it once the mount answers: the run that started us ends with success, and the terminal is
  /// let go.
  ///
  /// - Parameter text: What is mounted where, for the service manager.
  /// - Returns: False where that run is gone, so that nobody wants this mount: unmount.
  package func reportMounted(_ text: String) -> Bool {
    notice?.ready(text)
    guard let status else { return true }
    let isAwaited = status.report(.mounted)
    ProcessSetUp.leaveTerminal()
    return isAwaited
  }

  /// Logs why the mount ends, where a line on stderr is seen by nobody.
  ///
  /// Once it is mounted, no one waits at the other end of the status pipe.
  func note(_ failure: Failure) {
    guard status != nil else { return }
    log.error(
      "\(failure.sentence)",
      metadata: ["event": "mount.failed", "code": "\(failure.code.rawValue)"]
    )
  }

  private static func logOutput(
    _ settings: MountSettings,
    isBackground: Bool
  ) throws(Failure) -> any LogOutput {
    if let path = settings.logFile {
      do {
        return try LogFile(path: path)
      } catch {
        throw Failure(.usage, "cannot log there: \(path): \(error); see --log-file")
      }
    }
    return isBackground ? SyslogSocket() : LogFile.standardError
  }
}
