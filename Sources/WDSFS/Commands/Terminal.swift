import Glibc

/// What a stream is written to: a terminal with colours, or something that takes plain lines.
struct Terminal {
  let isTerminal: Bool
  let hasColours: Bool

  /// In columns.
  let width: Int

  static func of(_ file: Int32, environment: [String: String]) -> Terminal {
    let isTerminal = isatty(file) == 1
    // https://no-color.org: present and not empty, whatever it says.
    let isPlain = environment["NO_COLOR"]?.isEmpty == false || environment["TERM"] == "dumb"
    var size = winsize()
    let isKnown = ioctl(file, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return Terminal(
      isTerminal: isTerminal,
      hasColours: isTerminal && !isPlain,
      width: isKnown ? Int(size.ws_col) : 80
    )
  }

  enum Style: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
  }

  func styled(_ text: String, _ style: Style) -> String {
    hasColours ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }

  /// Breaks a text at its blanks, with an indent from the second line on.
  ///
  /// - Parameters:
  ///   - text: Of words.
  ///   - width: Columns for each line, the indent beside them.
  ///   - indent: Of the second line and on.
  /// - Returns: The lines, joined.
  static func wrapped(_ text: String, width: Int, indent: String) -> String {
    let room = max(20, width)
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > room {
        lines.append(line)
        line = String(word)
      } else {
        line += line.isEmpty ? String(word) : " " + word
      }
    }
    lines.append(line)
    return lines.joined(separator: "\n" + indent)
  }
}
