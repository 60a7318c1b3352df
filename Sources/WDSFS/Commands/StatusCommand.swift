import ArgumentParser
import FoundationEssentials
import Glibc
import Instruments

/// `wdsfs status`: what a mount does, as it does it.
struct StatusCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Watch a mount: throughput, hit rate, and how far each rank is.",
    discussion: """
      Live, until q or Ctrl-C:
        wdsfs status /mnt/wds
      Once, over ten seconds:
        wdsfs status /mnt/wds --once --interval 10
      For programs, one document or one a second:
        wdsfs status /mnt/wds --once --json
        wdsfs status /mnt/wds --json | jq .reads.samplesPerSecond

      read, cache and network say what programs were given, how much of it came from
      memory at once, and what was fetched for that. "waits for" says how much of a
      rank's time of late its reads waited for bytes on their way (network) or for a
      store that asked for fewer requests (throttle); "its reader" that the data is
      ready before it is asked for.

      Into a pipe it writes a line for each look.
      """
  )

  @Argument(help: "Where wdsfs is mounted.", completion: .directory)
  var mountpoint: String

  @Flag(help: "Look once and end.")
  var once = false

  @Flag(help: "As JSON; without --once a line for each look.")
  var json = false

  @Option(help: ArgumentHelp("Between two looks (default: 1).", valueName: "seconds"))
  var interval: Double = 1

  private static let allowedSeconds = 0.1...3600

  /// Where nothing says how wide the output is.
  private static let defaultWidth = 100

  func run(in program: Program) throws(Failure) -> ExitCode {
    guard Self.allowedSeconds.contains(interval) else {
      throw Failure(.usage, "--interval: \(interval) is not within 0.1 to 3600 seconds")
    }
    let source = StatusSource(mountPoint: program.user.absolute(mountpoint))
    var history = StatusHistory(try source.description())
    history.add(try source.statistics(), at: .now)
    if !once, !json, let terminal = LiveTerminal(environment: program.environment) {
      return try watch(source, &history, on: terminal, program.environment)
    }
    repeat {
      Self.sleep(seconds: interval)
      guard try look(source, &history) else {
        Self.noteEnd(source)
        return .success
      }
      if let report = history.report { try write(report, program.environment) }
    } while !once
    return .success
  }

  // MARK: Looks

  /// Looks at the mount again.
  ///
  /// - Returns: False where it has been unmounted meanwhile, which is no error.
  private func look(_ source: StatusSource, _ history: inout StatusHistory) throws(Failure) -> Bool
  {
    do throws(Failure) {
      history.add(try source.statistics(), at: .now)
      return true
    } catch {
      guard error.code == .notFound else { throw error }
      return false
    }
  }

  private static func noteEnd(_ source: StatusSource) {
    StandardError.print(PrintableText.oneLine("the mount has ended: \(source.mountPoint)"))
  }

  private static func sleep(seconds: Double) {
    let whole = seconds.rounded(.down)
    var time = timespec(tv_sec: Int(whole), tv_nsec: Int((seconds - whole) * 1e9))
    nanosleep(&time, nil)
  }

  // MARK: Output

  private func write(
    _ report: StatusReport,
    _ environment: [String: String]
  ) throws(Failure) {
    switch (once, json) {
    case (true, true): try CommandOutput.write(json: report)
    case (false, true):
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      // Plain types, which can always be encoded.
      guard let line = try? encoder.encode(report) else { return }
      try CommandOutput.write(Array(line) + Array("\n".utf8))
    case (true, false):
      let isColored = LiveTerminal.isColored(environment)
      let screen = StatusScreen(width: LiveTerminal.size?.width ?? Self.defaultWidth)
      let lines = screen.lines(report).map { $0.rendered(isColored: isColored) }
      try CommandOutput.write(lines.joined(separator: "\n") + "\n")
    case (false, false): try CommandOutput.write(StatusLine.text(report) + "\n")
    }
  }

  private func watch(
    _ source: StatusSource,
    _ history: inout StatusHistory,
    on terminal: LiveTerminal,
    _ environment: [String: String]
  ) throws(Failure) -> ExitCode {
    var last: [String] = []
    var hasEnded = false
    let result = Result { () throws(Failure) in
      let greeting = StyledText("looking at \(PrintableText.oneLine(source.mountPoint)) ...")
      let width = LiveTerminal.size?.width ?? Self.defaultWidth
      _ = terminal.show([greeting.cut(to: width).rendered(isColored: false)])
      // The first look after a moment, so that nobody waits a whole interval for the screen.
      var seconds = min(interval, 0.5)
      while case .timeout = terminal.wait(seconds: seconds) {
        seconds = interval
        guard try look(source, &history) else {
          hasEnded = true
          return
        }
        guard let report = history.report else { continue }
        let size = LiveTerminal.size
        let screen = StatusScreen(width: size?.width ?? Self.defaultWidth, height: size?.height)
        last = screen.lines(report).map {
          $0.rendered(isColored: LiveTerminal.isColored(environment))
        }
        guard terminal.show(last) else { return }
      }
    }
    terminal.leave()
    try result.get()
    // What was seen last stays on the shell's page.
    if !last.isEmpty { try CommandOutput.write(last.joined(separator: "\n") + "\n") }
    if hasEnded { Self.noteEnd(source) }
    return .success
  }
}
