/// A command line in the words that a POSIX shell would make of it; nothing is expanded.
///
/// Same rule as Python's `shlex.split`, by which the AWS tools take a `credential_process` apart.
package enum ShellWords {
  /// Splits a line at its blanks, with quotes and backslashes as in a shell.
  ///
  /// - Returns: Nil where a quote is not closed, or a backslash is the last character.
  package static func split(_ line: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var rest = Substring(line)
    while let character = rest.popFirst() {
      switch character {
      case " ", "\t", "\n", "\r", "\r\n":
        if let word { words.append(word) }
        word = nil
      case "'":
        guard let end = rest.firstIndex(of: "'") else { return nil }
        word = (word ?? "") + rest[..<end]
        rest = rest[end...].dropFirst()
      case "\"":
        guard let quoted = takeQuoted(&rest) else { return nil }
        word = (word ?? "") + quoted
      case "\\":
        guard let escaped = rest.popFirst() else { return nil }
        word = (word ?? "") + String(escaped)
      default:
        word = (word ?? "") + String(character)
      }
    }
    if let word { words.append(word) }
    return words
  }

  /// Takes text up to the closing quote: there a backslash counts before `"` and itself alone.
  private static func takeQuoted(_ rest: inout Substring) -> String? {
    var text = ""
    while let character = rest.popFirst() {
      switch character {
      case "\"": return text
      case "\\":
        guard let next = rest.popFirst() else { return nil }
        if next != "\"", next != "\\" { text.append("\\") }
        text.append(next)
      default: text.append(character)
      }
    }
    return nil
  }
}
