import Glibc

/// The terminal while it shows a screen that changes: another page than the shell's, and keys that
/// arrive one by one.
///
/// Whatever ends the command gives the terminal back as it was.
final class LiveTerminal {
  enum Event {
    case timeout
    case quit
  }

  struct Size: Hashable {
    let width: Int
    let height: Int
  }

  private var before = termios()
  private let hasKeys: Bool

  /// Woken by the thread that waits for signals.
  private let ends: (read: Int32, write: Int32)

  private static let controlC: UInt8 = 3

  /// - Returns: Nil where standard output is no terminal that can show it.
  init?(environment: [String: String]) {
    guard Self.isCapable(environment) else { return nil }
    var pair: [Int32] = [-1, -1]
    guard pipe(&pair) == 0 else { return nil }
    for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    ends = (pair[0], pair[1])
    Signals.block()
    let wakeUp = ends.write
    Signals.handle(
      first: { _ in FileDescriptorOutput.writeAll([0], to: wakeUp) },
      second: { _ in }
    )
    hasKeys = tcgetattr(STDIN_FILENO, &before) == 0
    if hasKeys {
      var raw = before
      raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
      tcsetattr(STDIN_FILENO, TCSANOW, &raw)
    }
    // The other page, without the cursor.
    Self.write("\u{1B}[?1049h\u{1B}[?25l")
  }

  /// Gives the terminal back, once.
  func leave() {
    Self.write("\u{1B}[?25h\u{1B}[?1049l")
    if hasKeys { tcsetattr(STDIN_FILENO, TCSANOW, &before) }
    close(ends.read)
  }

  /// Whether standard output can show colours and moving text.
  static func isCapable(_ environment: [String: String]) -> Bool {
    isatty(STDOUT_FILENO) == 1 && !["", "dumb"].contains(environment["TERM"] ?? "")
  }

  /// Whether colours are wanted (no-color.org).
  static func isColored(_ environment: [String: String]) -> Bool {
    isCapable(environment) && (environment["NO_COLOR"] ?? "").isEmpty
  }

  /// What the terminal says of its size; nil where it does not know.
  static var size: Size? {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0
    else { return nil }
    return Size(width: Int(size.ws_col), height: Int(size.ws_row))
  }

  /// Shows lines from the top, over what was there.
  ///
  /// - Returns: Whether anybody still takes them.
  func show(_ lines: [String]) -> Bool {
    // Each line is cleared behind its text, not before it, so that nothing flickers.
    let text = lines.map { $0 + "\u{1B}[K" }.joined(separator: "\n")
    return Self.write("\u{1B}[H" + text + "\u{1B}[J")
  }

  /// Waits for the next look, or for a key or signal that ends the show.
  func wait(seconds: Double) -> Event {
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      let rest = ContinuousClock.now.duration(to: end) / .milliseconds(1)
      guard rest > 0 else { return .timeout }
      var files = [
        pollfd(fd: ends.read, events: Int16(POLLIN), revents: 0),
        pollfd(fd: hasKeys ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&files, 2, Int32(min(rest.rounded(.up), 3_600_000)))
      if count <= 0 { continue }
      if files[0].revents != 0 { return .quit }
      var key: UInt8 = 0
      guard read(STDIN_FILENO, &key, 1) == 1 else { return .quit }
      if [UInt8(ascii: "q"), UInt8(ascii: "Q"), Self.controlC].contains(key) { return .quit }
    }
  }

  @discardableResult
  private static func write(_ text: String) -> Bool {
    FileDescriptorOutput.writeAll(Array(text.utf8), to: STDOUT_FILENO)
  }
}
