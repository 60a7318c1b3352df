/// Why a command ends: the exit code, and one sentence that says what, where and what to do.
package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
  package let code: ExitCode

  /// Without the program's name and without a line end, for example
  /// `no such directory: /mnt/wds; make it with mkdir -p /mnt/wds`.
  package let sentence: String

  /// Keeps the sentence to one printable line, whatever foreign text it carries.
  package init(_ code: ExitCode, _ sentence: String) {
    self.code = code
    self.sentence = PrintableText.oneLine(sentence)
  }

  /// The line for stderr, without its end.
  package var description: String { "wdsfs: \(sentence)" }
}
