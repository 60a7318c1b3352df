import Glibc
import Remote
import Synchronization

/// A child process; killed with the value, so that no test leaves one behind.
package final class RunningProcess: Sendable {
  package let identifier: Int32
  private let status = Mutex<Int32?>(nil)

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - path: Of the program; looked up in PATH where it has no slash.
  ///   - arguments: Without the program's name.
  ///   - environment: Added to the test's own.
  ///   - output: A file for standard output and error; nil: nowhere.
  ///   - directory: Where it runs; nil: where the test does.
  /// - Throws: Where it cannot be started.
  package init(
    _ path: String,
    _ arguments: [String],
    environment: [String: String] = [:],
    output: String? = nil,
    directory: String? = nil
  ) throws(TestFailure) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(
      &actions,
      1,
      output ?? "/dev/null",
      O_WRONLY | O_CREAT | O_TRUNC,
      0o644
    )
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Without `chdir` for spawned files in this libc's Swift view, a shell does it.
    let words =
      directory.map { ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", $0, path] } ?? [path]
    var variables = Self.inherited
    variables.merge(environment) { _, new in new }
    let settings = variables.map { "\($0.key)=\($0.value)" }
    var child = pid_t()
    let code = Self.withCStrings(words + arguments) { arguments in
      Self.withCStrings(settings) { settings in
        posix_spawnp(&child, words[0], &actions, nil, arguments, settings)
      }
    }
    guard code == 0 else { throw TestFailure("cannot start \(path): \(errorText(code))") }
    identifier = child
  }

  package func send(signal: Int32) {
    if status.withLock({ $0 }) == nil { kill(identifier, signal) }
  }

  /// Waits for its end; the exit code, or 128 and the signal that ended it.
  @discardableResult
  package func wait() -> Int32 {
    status.withLock { status in
      if let status { return status }
      var raw: Int32 = 0
      while waitpid(identifier, &raw, 0) < 0, errno == EINTR {}
      let code = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
      status = code
      return code
    }
  }

  /// Ends it and waits.
  package func stop() {
    send(signal: SIGKILL)
    wait()
  }

  deinit {
    stop()
  }

  private static var inherited: [String: String] {
    var variables: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "TMPDIR"] {
      if let value = variable(name) { variables[name] = value }
    }
    return variables
  }

  /// A variable of the test's own environment.
  package static func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// Whether a file is there that can be run.
  package static func isProgram(_ path: String) -> Bool {
    access(path, X_OK) == 0
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
