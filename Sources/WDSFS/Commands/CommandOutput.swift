import FoundationEssentials
import Glibc

/// What a command says on standard output.
enum CommandOutput {
  /// Writes text whole.
  ///
  /// - Throws: `.internalError` where nobody takes it, so that a cut-off file is not taken for whole.
  static func write(_ bytes: [UInt8]) throws(Failure) {
    guard !FileDescriptorOutput.writeAll(bytes, to: STDOUT_FILENO) else { return }
    throw Failure(.internalError, "cannot write to standard output: \(SystemCallError.latest)")
  }

  static func write(_ text: String) throws(Failure) {
    try write(Array(text.utf8))
  }

  /// Writes the page that `--html` asks for.
  static func write(page: String, to path: String) throws(Failure) {
    let file = creat(path, 0o644)
    guard file >= 0 else {
      throw Failure(.usage, "cannot write the page: \(path): \(SystemCallError.latest); see --html")
    }
    defer { close(file) }
    guard !FileDescriptorOutput.writeAll(Array(page.utf8), to: file) else { return }
    throw Failure(.internalError, "cannot write the page: \(path): \(SystemCallError.latest)")
  }

  static func write(json value: some Encodable) throws(Failure) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      try write(Array(try encoder.encode(value)) + Array("\n".utf8))
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(.internalError, "cannot write this as JSON: \(error)")
    }
  }
}
