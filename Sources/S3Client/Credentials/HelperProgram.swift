import CProcess
import Glibc
import Remote

/// A program that is run to its end for what it prints; without a shell, and bounded.
///
/// It stands in a process group of its own, so that what it has started is killed with it, if it is,
/// and gets none of our descriptors. Its standard error is seen by nobody: it may hold secrets.
struct HelperProgram {
  let words: [String]
  let environment: [String: String]
  let maxOutputBytes: Int
  let timeout: Duration

  /// Why there is no output.
  enum Failure: Error, Hashable {
    case notStarted(String)
    case exited(Int32)
    case signalled(Int32)
    case tookTooLong
    case printedTooMuch
  }

  /// How long a program that has ended may leave its output to others that hold it open.
  private static let graceTime: Duration = .milliseconds(200)
  private static let tickMilliseconds: Int32 = 20

  /// Runs it and waits for its end; blocks.
  ///
  /// - Returns: What it printed.
  func output() throws(Failure) -> [UInt8] {
    var ends: [Int32] = [-1, -1]
    guard wdsfs_pipe(&ends, O_CLOEXEC) == 0 else { throw .notStarted(errorText(errno)) }
    let readEnd = ends[0]
    defer { close(readEnd) }
    let child: pid_t
    do {
      defer { close(ends[1]) }
      child = try start(writingTo: ends[1])
    }
    let deadline = ContinuousClock.now + timeout
    var bytes: [UInt8] = []
    var status: Int32?
    var giveUp = deadline
    var isOpen = true
    while isOpen || status == nil {
      if status == nil, let ended = ended(child) {
        status = ended
        giveUp = min(deadline, .now + Self.graceTime)
      }
      if isOpen {
        isOpen = read(from: readEnd, into: &bytes)
      } else {
        poll(nil, 0, Self.tickMilliseconds)
      }
      guard bytes.count <= maxOutputBytes else {
        end(child, status)
        throw .printedTooMuch
      }
      if ContinuousClock.now >= giveUp {
        if status != nil { break }
        end(child, status)
        throw .tookTooLong
      }
    }
    let code = status ?? 0
    if code & 0x7F != 0 { throw .signalled(code & 0x7F) }
    guard code == 0 else { throw .exited((code >> 8) & 0xFF) }
    return bytes
  }

  // MARK: - Its life

  private func start(writingTo output: Int32) throws(Failure) -> pid_t {
    guard let program = words.first, !program.isEmpty else { throw .notStarted("no program") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    _ = wdsfs_spawn_close_from(&actions, STDERR_FILENO + 1)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP)
    )
    var child: pid_t = 0
    let variables = environment.map { "\($0.key)=\($0.value)" }.sorted()
    let code = Self.withCStrings(words) { words in
      Self.withCStrings(variables) { variables in
        posix_spawnp(&child, program, &actions, &attributes, words, variables)
      }
    }
    guard code == 0 else { throw .notStarted(errorText(code)) }
    return child
  }

  /// The status that `waitpid` gives; nil while it runs.
  private func ended(_ child: pid_t) -> Int32? {
    var status: Int32 = 0
    let found = waitpid(child, &status, WNOHANG)
    if found == child { return status }
    // Somebody else has waited for it: only its output can tell.
    return found < 0 && errno == ECHILD ? 0 : nil
  }

  private func end(_ child: pid_t, _ status: Int32?) {
    kill(-child, SIGKILL)
    guard status == nil else { return }
    var ignored: Int32 = 0
    while waitpid(child, &ignored, 0) < 0, errno == EINTR {}
  }

  /// Takes what is there, or waits a little; false at the end.
  private func read(from file: Int32, into bytes: inout [UInt8]) -> Bool {
    var waiting = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, Self.tickMilliseconds) > 0 else { return true }
    var block = [UInt8](repeating: 0, count: 16 * 1024)
    let count = Glibc.read(file, &block, block.count)
    if count < 0 { return errno == EINTR || errno == EAGAIN }
    bytes += block[..<count]
    return count > 0
  }

  private static func withCStrings<Value>(
    _ texts: [String],
    _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
  ) -> Value {
    let copies = texts.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
  }
}
