import Glibc

/// Runs a Python script and gives what it prints.
enum PythonScript {
  struct Failure: Error {
    let command: String
    let status: Int32
    let output: String
  }

  /// The folder of `Package.swift`.
  static var packageRoot: String {
    String(#filePath).split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
  }

  /// Runs `interpreter script arguments…` and waits for its end.
  ///
  /// - Throws: `Failure` where it does not end well, with what it printed.
  static func run(
    _ script: String,
    arguments: [String],
    interpreter: String = "python3"
  ) throws -> [UInt8] {
    let command = ([interpreter, script] + arguments).map(quoted).joined(separator: " ") + " 2>&1"
    guard let pipe = popen(command, "r") else {
      throw Failure(command: command, status: errno, output: "popen failed")
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while case let count = fread(&buffer, 1, buffer.count, pipe), count > 0 {
      output.append(contentsOf: buffer[..<count])
    }
    let status = pclose(pipe)
    guard status == 0 else {
      let text = String(decoding: output.suffix(2000), as: UTF8.self)
      throw Failure(command: command, status: status, output: text)
    }
    return output
  }

  private static func quoted(_ word: String) -> String {
    let inner = word.split(separator: "'", omittingEmptySubsequences: false)
    return "'" + inner.joined(separator: "'\\''") + "'"
  }
}
