import Glibc
import Logging
import Testing
import WDSFS

/// The daemon's side is played by a shell script; each test is a process of its own, since the
/// parent's side takes over the signals of the process.
@Suite struct DaemonTests {
  @Test func itSucceedsOnceTheChildIsMounted() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let code = try Self.start(#"echo mounted >&"$_WDSFS_STATUS_FD"; exec sleep 1"#)
      exit(code == .success ? 42 : 1)
    }
  }

  @Test func itFailsAsTheChildSays() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let failure = try Self.failure(#"echo failed 6 not empty: /m >&"$_WDSFS_STATUS_FD"; exit 6"#)
      exit(failure == Failure(.cannotMount, "not empty: /m") ? 42 : 1)
    }
  }

  @Test func aChildThatDiesWithoutAWordIsReportedWithItsSignal() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let failure = try Self.failure("kill -KILL $$")
      exit(failure.code == .internalError && failure.sentence.contains("signal 9") ? 42 : 1)
    }
  }

  @Test func aChildThatEndsWithoutAWordIsAFailure() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let failure = try Self.failure("exit 0")
      exit(failure.code == .internalError && failure.sentence.contains("status 0") ? 42 : 1)
    }
  }

  @Test func theChildLeadsASessionWithoutInput() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let script = #"""
        read line && exit 1
        set -- $(cat /proc/self/stat)
        [ "$6" = $$ ] && echo mounted >&"$_WDSFS_STATUS_FD"
        """#
      exit(try Self.start(script) == .success ? 42 : 1)
    }
  }

  @Test func onceItIsMountedTheTerminalIsLetGo() async {
    await #expect(processExitsWith: .exitCode(42)) {
      var ends: [Int32] = [-1, -1]
      try #require(pipe(&ends) == 0)
      let process = MountProcess(
        log: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() },
        events: EventLog(),
        status: StatusPipe(file: ends[1])
      )
      try #require(process.reportMounted("a at b"))
      var buffer = [UInt8](repeating: 0, count: 100)
      let count = read(ends[0], &buffer, 100)
      let isReported = StatusPipe.decoded(Array(buffer.prefix(max(0, count)))) == .mounted
      var null = stat()
      stat("/dev/null", &null)
      let isLetGo = (STDIN_FILENO...STDERR_FILENO).allSatisfy { file in
        var status = stat()
        return fstat(file, &status) == 0 && status.st_rdev == null.st_rdev
      }
      exit(isReported && isLetGo ? 42 : 1)
    }
  }

  @Test func aProgramThatIsNotThereIsAFailure() async throws {
    let failure = try #require(throws: Failure.self) {
      try Daemon(executable: "/nonexistent", arguments: ["x"]).start()
    }
    #expect(failure.code == .internalError)
    #expect(failure.sentence.contains("/nonexistent"))
  }

  private static func start(_ script: String) throws(Failure) -> ExitCode {
    try Daemon(executable: "/bin/sh", arguments: ["sh", "-c", script]).start()
  }

  private static func failure(_ script: String) throws -> Failure {
    do throws(Failure) {
      _ = try start(script)
    } catch {
      return error
    }
    return Failure(.success, "it started")
  }
}
