import Glibc
import Remote
import Synchronization

/// A line on standard error that says how far a long run is: always the same one on a terminal, a
/// new one now and then elsewhere.
final class ProgressLine: Sendable {
  private static let tick: Duration = .milliseconds(100)
  private static let terminalPause: Duration = .milliseconds(200)
  private static let linePause: Duration = .seconds(10)

  private let text: @Sendable (_ width: Int?) -> String
  private let isOver = Atomic<Bool>(false)
  private let ended = ReadySignal()

  /// - Parameter text: The line without its end, for a terminal of a width, or for a log where that
  ///   is nil. Asked at every tick, also where it is not shown, so that it may measure a pace.
  init(text: @escaping @Sendable (_ width: Int?) -> String) {
    self.text = text
  }

  /// Begins to say so, on a thread of its own.
  func start() {
    WorkerThread.start(name: "progress") { [self] in
      let isTerminal = isatty(STDERR_FILENO) == 1
      let pause = isTerminal ? Self.terminalPause : Self.linePause
      var shownAt = ContinuousClock.now
      while true {
        var time = timespec(tv_sec: 0, tv_nsec: Int(Self.tick / .nanoseconds(1)))
        nanosleep(&time, nil)
        guard !isOver.load(ordering: .acquiring) else { break }
        let line = text(isTerminal ? Terminal.width(of: STDERR_FILENO) : nil)
        guard shownAt.duration(to: .now) >= pause else { continue }
        shownAt = .now
        write(isTerminal ? "\r\(line)\u{1B}[K" : "\(line)\n")
      }
      if isTerminal { write("\r\u{1B}[K") }
      ended.signal()
    }
  }

  /// Ends it, and takes the line off the terminal.
  func finish() {
    isOver.store(true, ordering: .releasing)
    ended.wait()
  }

  private func write(_ text: String) {
    FileDescriptorOutput.writeAll(Array(text.utf8), to: STDERR_FILENO)
  }

  /// A bar and words behind it; the words alone where there is room for no bar.
  ///
  /// - Parameters:
  ///   - words: What the bar shows, in numbers.
  ///   - part: Of the whole, in bytes.
  ///   - whole: In bytes.
  ///   - width: Columns of the terminal, the last of which stays free.
  /// - Returns: The line, no wider than that.
  static func barred(_ words: String, _ part: Int64, of whole: Int64, width: Int) -> String {
    let room = width - words.count - 5
    guard room >= 10 else { return String(words.prefix(max(0, width - 1))) }
    let bar = NumberText.bar(Int(part), of: Int(whole), width: min(40, room))
    return bar + "  " + words
  }
}
