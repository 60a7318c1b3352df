import Glibc
import Synchronization

/// The daemon's one word to the run that started it: mounted, or why not.
package final class StatusPipe: Sendable {
  package enum Report: Hashable, Sendable {
    case mounted
    case failed(Failure)
  }

  /// Names the descriptor in the environment; the daemon takes it out at once.
  package static let variable = "_WDSFS_STATUS_FD"

  /// POSIX writes this much to a pipe in one piece.
  package static let maxReportBytes = 4096

  /// Closed and -1 once a report was made: there is one.
  private let file: Mutex<Int32>

  package init(file: Int32) {
    self.file = Mutex(file)
  }

  deinit {
    file.withLock { if $0 >= 0 { close($0) } }
  }

  /// The pipe that this process was started with, if it was; call it before any thread exists.
  package static func inherited() -> StatusPipe? {
    guard let text = getenv(variable) else { return nil }
    let number = Int32(String(cString: text))
    unsetenv(variable)
    var status = stat()
    // Somebody's leftover variable must not make us write into a file.
    guard let number, number > STDERR_FILENO, fstat(number, &status) == 0,
      status.st_mode & S_IFMT == S_IFIFO
    else { return nil }
    // Nobody we start may hold it: its end is how the parent learns of our death.
    _ = fcntl(number, F_SETFD, FD_CLOEXEC)
    return StatusPipe(file: number)
  }

  /// For whoever closes all others; -1 once a report was made.
  package var descriptor: Int32 { file.withLock { $0 } }

  /// Reports once; later calls do nothing.
  ///
  /// - Returns: False where nobody waits any more, so that nobody asked for this mount.
  @discardableResult
  package func report(_ report: Report) -> Bool {
    let file = self.file.withLock { file in
      defer { file = -1 }
      return file
    }
    guard file >= 0 else { return true }
    defer { close(file) }
    return FileDescriptorOutput.writeAll(Self.encoded(report), to: file)
  }

  // MARK: - The words

  package static func encoded(_ report: Report) -> [UInt8] {
    switch report {
    case .mounted:
      Array("mounted\n".utf8)
    case .failed(let failure):
      Array("failed \(failure.code.rawValue) \(failure.sentence)".utf8.prefix(maxReportBytes - 1))
        + [UInt8(ascii: "\n")]
    }
  }

  /// Nil for what is no whole report.
  package static func decoded(_ bytes: [UInt8]) -> Report? {
    guard bytes.last == UInt8(ascii: "\n") else { return nil }
    // A sentence that was cut within a letter ends in a replacement sign.
    let text = String(decoding: bytes.dropLast(), as: UTF8.self)
    if text == "mounted" { return .mounted }
    let words = text.split(separator: " ", maxSplits: 2)
    guard words.count == 3, words[0] == "failed", let number = Int32(words[1]),
      let code = ExitCode(rawValue: number), code != .success
    else { return nil }
    return .failed(Failure(code, String(words[2])))
  }
}
