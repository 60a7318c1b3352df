import Glibc
import TestSupport
import Testing
import WDSFS

/// Signals go to a process that has no thread but ours, as the program has at its start.
@Suite struct SignalsTests {
  @Test func theFirstSignalAsksForAnOrderlyEnd() async throws {
    for signal in [SIGTERM, SIGINT, SIGHUP] {
      let process = try ForkedProcess { ready in
        Signals.block()
        Signals.handle(
          first: { _exit($0 == signal ? 42 : 1) },
          second: { _ in _exit(2) }
        )
        ready()
      }
      process.send(signal)
      #expect(process.exitCode() == 42)
    }
  }

  @Test func aSignalThatCameEarlyIsNotLost() async throws {
    let process = try ForkedProcess { ready in
      Signals.block()
      kill(getpid(), SIGTERM)
      Signals.handle(first: { _ in _exit(42) }, second: { _ in _exit(2) })
      ready()
    }
    #expect(process.exitCode() == 42)
  }

  @Test(.timeLimit(.minutes(10)))
  func theSecondSignalEndsItAtOnce() async throws {
    // Both closures hang, as a mount with a dead network might.
    let process = try ForkedProcess { ready in
      Signals.block()
      Signals.handle(
        first: { _ in
          ready()
          while true { pause() }
        },
        second: { _ in while true { pause() } }
      )
      kill(getpid(), SIGTERM)
    }
    let start = ContinuousClock.now
    process.send(SIGINT)
    #expect(process.exitCode() == ExitCode.forced.rawValue)
    #expect(ContinuousClock.now - start < .seconds(30))
  }

  @Test func theSecondSignalWaitsForWhatMustNotBeLeftOut() async throws {
    let folder = try TemporaryDirectory()
    let path = folder.path + "/cursor"
    let process = try ForkedProcess { ready in
      Signals.block()
      Signals.handle(
        first: { _ in ready() },
        second: { _ in close(open(path, O_WRONLY | O_CREAT, 0o600)) }
      )
      kill(getpid(), SIGTERM)
    }
    process.send(SIGTERM)
    #expect(process.exitCode() == ExitCode.forced.rawValue)
    #expect(access(path, F_OK) == 0)
  }
}

/// A copy of this process with a single thread.
///
/// Swift hides fork(2), since hardly anything is safe in the copy of a process with threads: locks
/// that were held stay so. What runs here takes none but those of malloc, which glibc sets right.
private final class ForkedProcess {
  private let processID: pid_t

  /// Returns when the body has called what it is given.
  init(_ body: (_ ready: @escaping @Sendable () -> Void) -> Void) throws {
    let symbol = try #require(dlsym(nil, "fork"))
    let fork = unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    let (readEnd, writeEnd) = (ends[0], ends[1])
    defer { close(readEnd) }
    let processID = fork()
    if processID == 0 {
      // A test that hangs must not leave it behind.
      alarm(30)
      body { _ = write(writeEnd, "r", 1) }
      while true { pause() }
    }
    close(writeEnd)
    try #require(processID > 0)
    self.processID = processID
    var byte: UInt8 = 0
    read(readEnd, &byte, 1)
  }

  func send(_ signal: Int32) {
    kill(processID, signal)
  }

  /// Nil where a signal ended it.
  func exitCode() -> Int32? {
    var status: Int32 = 0
    waitpid(processID, &status, 0)
    return status & 0x7f == 0 ? (status >> 8) & 0xff : nil
  }
}
