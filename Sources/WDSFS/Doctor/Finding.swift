/// What one look at the machine found.
struct Finding: Encodable, Hashable {
  enum State: String, Encodable {
    case good

    /// Works, but the user may want to know.
    case note
    case bad
  }

  /// A word or two, for example `FUSE`.
  let name: String
  let state: State
  let text: String

  /// What to type or change; nil where all is well.
  let advice: String?

  /// What a mount would end with; 0 where it would not.
  let exitCode: Int32

  static func good(_ name: String, _ text: String) -> Finding {
    Finding(name: name, state: .good, text: text, advice: nil, exitCode: 0)
  }

  static func note(_ name: String, _ text: String, _ advice: String? = nil) -> Finding {
    Finding(name: name, state: .note, text: text, advice: advice, exitCode: 0)
  }

  static func bad(_ name: String, _ text: String, _ advice: String?, _ code: ExitCode) -> Finding {
    Finding(name: name, state: .bad, text: text, advice: advice, exitCode: code.rawValue)
  }

  /// A failure's sentence holds its advice behind the last semicolon.
  static func bad(_ name: String, _ failure: Failure) -> Finding {
    guard let semicolon = failure.sentence.lastIndex(of: ";") else {
      return .bad(name, failure.sentence, nil, failure.code)
    }
    let advice = failure.sentence[semicolon...].dropFirst().drop { $0 == " " }
    return .bad(name, String(failure.sentence[..<semicolon]), String(advice), failure.code)
  }
}

extension Finding {
  private static let nameWidth = 13

  func lines(_ terminal: Terminal) -> String {
    let mark =
      switch state {
      case .good: terminal.styled("✓", .green)
      case .note: terminal.styled("–", .yellow)
      case .bad: terminal.styled("✗", .red)
      }
    let indent = String(repeating: " ", count: Self.nameWidth + 2)
    let width = terminal.width - indent.count
    func wrapped(_ text: String, _ width: Int, _ indent: String) -> String {
      Terminal.wrapped(PrintableText.oneLine(text), width: width, indent: indent)
    }
    var lines = "\(mark) \(name.padded(to: Self.nameWidth))\(wrapped(text, width, indent))\n"
    if let advice {
      let arrow = terminal.styled("→ ", .bold)
      lines += "\(indent)\(arrow)\(wrapped(advice, width - 2, indent + "  "))\n"
    }
    return lines
  }
}
