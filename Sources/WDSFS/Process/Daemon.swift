import Glibc

/// Starts this program again in the background, and waits until its mount answers.
///
/// It is a new process by exec, not a fork that goes on: threads, locks and curl's state of a forked
/// process are nothing to build upon. It begins with the same arguments in a session of its own.
package struct Daemon {
  private let executable: String
  private let arguments: [String]

  /// - Parameters:
  ///   - executable: This program; the link stays good when the file was replaced by a newer one.
  ///   - arguments: The whole command line, the program's name first.
  package init(executable: String = "/proc/self/exe", arguments: [String]) {
    self.executable = executable
    self.arguments = arguments
  }

  /// Returns once the daemon says that it is mounted.
  ///
  /// SIGINT and SIGTERM meanwhile are passed on to it, so that no half-made mount is left; a second
  /// one kills it.
  ///
  /// - Throws: The daemon's own failure; or `.internalError` if it died without a word.
  package func start() throws(Failure) -> ExitCode {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw cannotStart(.latest) }
    let (readEnd, writeEnd) = (ends[0], ends[1])
    // No thread exists yet, so nobody can start a program between these calls.
    _ = fcntl(readEnd, F_SETFD, FD_CLOEXEC)
    _ = fcntl(writeEnd, F_SETFD, FD_CLOEXEC)
    defer { close(readEnd) }
    let child: ChildProcess
    do {
      defer { close(writeEnd) }
      child = try spawn(writeEnd)
    } catch {
      throw cannotStart(error)
    }
    passSignals(to: child.processID)
    let bytes = FileDescriptorOutput.readAll(from: readEnd, maxBytes: StatusPipe.maxReportBytes)
    switch StatusPipe.decoded(bytes) {
    case .mounted:
      return .success
    case .failed(let failure):
      _ = child.wait()
      throw failure
    case nil:
      throw died(child.wait())
    }
  }

  private func spawn(_ writeEnd: Int32) throws(SystemCallError) -> ChildProcess {
    var setup = ChildProcess.Setup()
    setup.startsSession = true
    setup.standardInput = "/dev/null"
    setup.descriptors = [(ours: writeEnd, theirs: Self.statusFile)]
    setup.variables = [StatusPipe.variable: "\(Self.statusFile)"]
    return try ChildProcess(executable: executable, arguments: arguments, setup: setup)
  }

  /// The first number after standard input, output and error.
  private static let statusFile: Int32 = 3

  private func passSignals(to processID: pid_t) {
    Signals.block()
    Signals.handle(
      first: { _ in _ = kill(processID, SIGTERM) },
      second: { _ in _ = kill(processID, SIGKILL) }
    )
  }

  private func cannotStart(_ error: SystemCallError) -> Failure {
    Failure(.internalError, "cannot start the daemon: \(executable): \(error); try -f")
  }

  private func died(_ end: ChildProcess.End) -> Failure {
    let how =
      switch end {
      case .exited(let status): "it ended with status \(status)"
      case .signalled(let signal): "it was ended by signal \(signal) (\(Signals.name(signal)))"
      }
    return Failure(.internalError, "the daemon said nothing: \(how); try -f to see its log")
  }
}
