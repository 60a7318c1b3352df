package import Glibc
package import Logging

/// Where lines go; one that cannot be written is lost, and nobody waits.
package protocol LogOutput: AnyObject, Sendable {
  func write(_ line: LogLine, level: Logger.Level, time: timespec)
}

/// Lines with their time, to a file, a pipe or a terminal.
package final class LogFile: LogOutput {
  private let file: Int32

  /// Shared by the whole process, which never closes it.
  package static let standardError = LogFile(file: STDERR_FILENO)

  private init(file: Int32) {
    self.file = file
  }

  /// Appends to the file, which only we and root may read: it names keys and paths.
  convenience init(path: String) throws(SystemCallError) {
    let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
    let file = open(path, flags, 0o600)
    guard file >= 0 else { throw .latest }
    self.init(file: file)
  }

  deinit {
    if file != STDERR_FILENO { close(file) }
  }

  package func write(_ line: LogLine, level: Logger.Level, time: timespec) {
    // A pipe that nobody reads, or a terminal that was stopped, must not stop the readers of the
    // mount. A pipe that is ready takes a line of this length whole.
    var ready = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
    guard poll(&ready, 1, 0) == 1, ready.revents & Int16(POLLOUT) != 0 else { return }
    FileDescriptorOutput.writeAll(Array((line.stamped(time) + "\n").utf8), to: file)
  }
}
