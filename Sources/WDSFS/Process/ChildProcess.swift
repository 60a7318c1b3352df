import CProcess
import Glibc

/// A process that we start and wait for.
struct ChildProcess {
  let processID: pid_t

  enum End: Hashable {
    case exited(Int32)
    case signalled(Int32)
  }

  /// How a child is started.
  struct Setup {
    /// Becomes the leader of a session of its own, away from the terminal's signals.
    var startsSession = false

    var standardInput: String?

    /// Our descriptors under the child's numbers; they stay open there over the exec.
    var descriptors: [(ours: Int32, theirs: Int32)] = []

    /// Added to our own variables.
    var variables: [String: String] = [:]
  }

  /// Starts a program; signals stand there as they do by default, none blocked.
  ///
  /// Calls `posix_spawn`: nothing of ours runs between fork and exec.
  ///
  /// - Throws: The errno, as `SystemCallError`.
  init(
    executable: String,
    arguments: [String],
    setup: Setup = Setup()
  ) throws(SystemCallError) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input = setup.standardInput {
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
    }
    for (ours, theirs) in setup.descriptors {
      posix_spawn_file_actions_adddup2(&actions, ours, theirs)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for ignored in [SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2] { sigaddset(&signals, ignored) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    if setup.startsSession { flags |= Self.setSession }
    posix_spawnattr_setflags(&attributes, Int16(flags))
    var processID: pid_t = 0
    let status = Self.withStrings(arguments) { arguments in
      Self.withStrings(Self.environment(adding: setup.variables)) { environment in
        posix_spawn(&processID, executable, &actions, &attributes, arguments, environment)
      }
    }
    guard status == 0 else { throw SystemCallError(number: status) }
    self.processID = processID
  }

  /// Waits until it has ended.
  func wait() -> End {
    var status: Int32 = 0
    while waitpid(processID, &status, 0) < 0 {
      guard errno == EINTR else { return .exited(EXIT_FAILURE) }
    }
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
  }

  // MARK: - C strings

  /// `POSIX_SPAWN_SETSID` of glibc's spawn.h, which Swift does not see, being a GNU extension.
  private static let setSession: Int32 = 0x80

  private static func environment(adding variables: [String: String]) -> [String] {
    var entries: [String] = []
    var next = wdsfs_environment()
    while let entry = next?.pointee {
      entries.append(String(cString: entry))
      next = next?.advanced(by: 1)
    }
    return entries + variables.map { "\($0.key)=\($0.value)" }
  }

  private static func withStrings<Result>(
    _ strings: [String],
    _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
  ) -> Result {
    let copies = strings.map { strdup($0) }
    defer {
      for copy in copies { free(copy) }
    }
    return body(copies + [nil])
  }
}
