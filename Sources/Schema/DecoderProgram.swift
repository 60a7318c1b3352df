import CProcess
import Glibc
import Synchronization

/// A program of the user's that reads a field and writes what it makes of it; without a shell, and
/// bounded in time, in memory and in what it writes.
///
/// Each field is a run of its own, in a process group of its own, so that what it has started is
/// killed with it, if it is. It gets none of our descriptors, and no variable of AWS.
package struct DecoderProgram: Sendable {
  /// A program that has not ended by then is killed.
  package static let maxTime: Duration = .seconds(30)

  /// What it may allocate: room for an image and a framework, not for all of the machine.
  package static let maxDataBytes: UInt64 = 4 << 30

  /// How long a program that has ended may leave its output to others that hold it open.
  private static let graceTime: Duration = .milliseconds(500)
  private static let tickMilliseconds: Int32 = 20
  private static let maxMessageBytes = 300

  private let path: String
  private let words: [String]
  private let variables: [String]
  private let maxBytes: Int
  private let maxTime: Duration
  private let brake: ProgramBrake

  /// - Parameters:
  ///   - words: The program and its arguments.
  ///   - environment: What it sees, and where `PATH` stands.
  ///   - maxBytes: More output is an error.
  ///   - maxTime: For one field.
  ///   - brake: Ends it early.
  /// - Throws: `ProgramError` where there is no such program.
  package init(
    words: [String],
    environment: [String: String],
    maxBytes: Int,
    maxTime: Duration = Self.maxTime,
    brake: ProgramBrake = ProgramBrake()
  ) throws(ProgramError) {
    guard let name = words.first else { throw ProgramError(name: "", why: "nothing is named") }
    path = try Self.find(name, environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin")
    self.words = words
    variables =
      environment
      .filter { !$0.key.hasPrefix("AWS_") }
      .map { "\($0.key)=\($0.value)" }
      .sorted()
    self.maxBytes = maxBytes
    self.maxTime = maxTime
    self.brake = brake
  }

  private static func find(_ name: String, _ folders: String) throws(ProgramError) -> String {
    if name.contains("/") {
      guard isProgram(name) else {
        throw ProgramError(name: name, why: "is missing or cannot be run")
      }
      return name
    }
    for folder in folders.split(separator: ":") where isProgram("\(folder)/\(name)") {
      return "\(folder)/\(name)"
    }
    throw ProgramError(name: name, why: "is in no folder of PATH")
  }

  private static func isProgram(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      && access(path, X_OK) == 0
  }

  /// Runs the program on a field and waits for its end; blocks.
  package func run(_ input: UnsafeRawBufferPointer) throws(DecodeError) -> [UInt8] {
    var run = try ProgramRun(start: start)
    defer { run.close() }
    let deadline = ContinuousClock.now + maxTime
    var giveUp = deadline
    var rest = input[...]
    while run.status == nil || run.isOpen {
      let wasRunning = run.status == nil
      run.look()
      if wasRunning, run.status != nil { giveUp = min(deadline, .now + Self.graceTime) }
      if run.isOpen || !rest.isEmpty {
        try run.exchange(&rest, maxBytes: maxBytes, tickMilliseconds: Self.tickMilliseconds)
      } else {
        poll(nil, 0, 1)
      }
      if brake.isPulled { throw .noMeans("the mount is ending") }
      if ContinuousClock.now >= giveUp {
        if run.status != nil { break }
        throw .program("the program has not ended after \(maxTime)")
      }
    }
    let code = run.status ?? 0
    let said = Self.oneLine(run.message)
    if code & 0x7F != 0 {
      throw .program("the program was ended by signal \(code & 0x7F)\(said)")
    }
    guard code == 0 else {
      throw .program("the program has ended with status \((code >> 8) & 0xFF)\(said)")
    }
    return run.output
  }

  /// The last line that the program said of itself.
  private static func oneLine(_ bytes: [UInt8]) -> String {
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    guard let line = lines.last(where: { !$0.isEmpty }) else { return "" }
    let text = String(decoding: line.prefix(maxMessageBytes), as: UTF8.self)
    let shown = text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }
    return ": " + shown.joined()
  }

  private func start(_ ends: [Int32]) throws(DecodeError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, end) in ends.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, end, Int32(target))
    }
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
    let code = Self.withCStrings(words) { words in
      Self.withCStrings(variables) { variables in
        posix_spawn(&child, path, &actions, &attributes, words, variables)
      }
    }
    guard code == 0 else {
      throw .noMeans("the program cannot be started: \(String(cString: strerror(code)))")
    }
    _ = wdsfs_limit_data(child, Self.maxDataBytes)
    return child
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

/// Ends all programs that run, and those that would be started.
package final class ProgramBrake: Sendable {
  private let pulled = Atomic(false)

  package init() {}

  var isPulled: Bool { pulled.load(ordering: .relaxed) }

  package func pull() {
    pulled.store(true, ordering: .relaxed)
  }
}

/// Why a decoder cannot be run at all.
package struct ProgramError: Error, Hashable, Sendable, CustomStringConvertible {
  package let name: String
  let why: String

  package var description: String { "the program '\(name)' \(why)" }
}
