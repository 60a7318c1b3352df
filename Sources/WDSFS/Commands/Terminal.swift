import Glibc

/// What a stream is written to: a terminal with colours, or something that takes plain lines.
struct Terminal {
  let isTerminal: Bool
  let hasColours: Bool

  /// In columns.
  let width: Int

  /// Columns that a table may take; nil for a file or a program, which take lines of any length.
  var room: Int? { isTerminal ? width : nil }

  /// Whether what is drawn should keep small.
  var isNarrow: Bool { isTerminal && width < 80 }

  static func of(_ file: Int32, environment: [String: String]) -> Terminal {
    let isTerminal = isatty(file) == 1
    // https://no-color.org: present and not empty, whatever it says.
    let isPlain = environment["NO_COLOR"]?.isEmpty == false || environment["TERM"] == "dumb"
    return Terminal(
      isTerminal: isTerminal,
      hasColours: isTerminal && !isPlain,
      width: width(of: file)
    )
  }

  static func width(of file: Int32) -> Int {
    var size = winsize()
    let isKnown = ioctl(file, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) : 80
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

  /// A line with its end, which a terminal that is narrower gets broken, further lines further in.
  func line(_ words: String, indent: String = "") -> String {
    guard let room else { return "\(indent)\(words)\n" }
    let inner = indent + "  "
    return indent + Self.wrapped(words, width: room - inner.count, indent: inner) + "\n"
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
    for word in words(of: text) {
      if !line.isEmpty, line.count + 1 + word.count > room {
        lines.append(line)
        line = word
      } else {
        line += line.isEmpty ? word : " " + word
      }
    }
    lines.append(line)
    return lines.joined(separator: "\n" + indent)
  }
}

extension Terminal {
  private static let units: Set<Substring> = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "%", "ms"]

  /// What must not be broken: a number and its unit are one word.
  private static func words(of text: String) -> [String] {
    var words: [String] = []
    for word in text.split(separator: " ") {
      let unit = word.prefix { $0.isLetter || $0 == "%" }
      if units.contains(unit), let number = words.last, number.last?.isNumber == true {
        words[words.count - 1] = "\(number) \(word)"
      } else {
        words.append(String(word))
      }
    }
    return words
  }
}

extension Program {
  var outputTerminal: Terminal { .of(STDOUT_FILENO, environment: environment) }
}
