import Glibc
import TestSupport
import Testing

/// One run of the built `wdsfs`, to its end.
struct ProgramRun {
  let exitCode: Int32?
  let output: String
  let errors: String

  var isOneLine: Bool {
    errors.hasPrefix("wdsfs: ") && errors.last == "\n" && errors.count { $0 == "\n" } == 1
  }

  /// - Parameters:
  ///   - arguments: Without the program's name.
  ///   - variables: All that the program sees beside `PATH`, `HOME` and what steers a sanitizer.
  ///   - runner: A program with arguments that runs ours, for example `strace`.
  /// - Throws: What the test needs and is not there.
  init(
    _ arguments: [String],
    _ variables: [String: String] = [:],
    runner: [String] = []
  ) throws {
    let folder = try TemporaryDirectory()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let files = (out: folder.path + "/out", errors: folder.path + "/errors")
    let flags = O_WRONLY | O_CREAT | O_APPEND
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, files.out, flags, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, files.errors, flags, 0o600)
    var environment = ["PATH": "/usr/bin:/bin", "HOME": folder.path].merging(variables) { $1 }
    // What a sanitizer is told, where there is one: its reports go where they are looked for.
    for name in ["ASAN_OPTIONS", "TSAN_OPTIONS", "LD_PRELOAD"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    let program = try Self.program()
    let first = runner.isEmpty ? ["wdsfs"] : runner + [program]
    var words = (first + arguments).map { strdup($0) } + [nil]
    var entries = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer {
      for text in words + entries { free(text) }
    }
    var processID: pid_t = 0
    let started = runner.first ?? program
    try #require(posix_spawnp(&processID, started, &actions, nil, &words, &entries) == 0)
    var status: Int32 = 0
    waitpid(processID, &status, 0)
    exitCode = status & 0x7f == 0 ? (status >> 8) & 0xff : nil
    output = Self.text(of: files.out)
    errors = Self.text(of: files.errors)
  }

  /// The program lies beside the bundle of its tests.
  private static func program() throws -> String {
    let path = try #require(realpath("/proc/self/exe", nil))
    defer { free(path) }
    // The bundle is the running program, or an argument of the toolchain's runner.
    let candidates = [String(cString: path)] + CommandLine.arguments
    let programs = candidates.compactMap { candidate -> String? in
      guard let slash = candidate.lastIndex(of: "/") else { return nil }
      return String(candidate[...slash]) + "wdsfs"
    }
    return try #require(
      programs.first { access($0, X_OK) == 0 },
      "no wdsfs beside \(candidates)"
    )
  }

  private static func text(of path: String) -> String {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = read(file, &buffer, buffer.count), count > 0 {
      bytes += buffer.prefix(count)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
