import Glibc
import Remote
import S3Client
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct CredentialProcessTests {
  private let good =
    #"{"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "canary-secret", "#
    + #""SessionToken": "canary-token", "Expiration": "2030-01-01T02:00:00+02:00"}"#

  private func run(
    _ command: String,
    timeout: Duration = .seconds(20),
    environment: [String: String] = ["PATH": "/usr/bin:/bin"]
  ) throws(StoreError) -> Credentials {
    var process = CredentialProcess(command: command, profileName: "the profile 'x'")
    process.timeout = timeout
    return try process.credentials(environment)
  }

  private func failure(_ command: String, timeout: Duration = .seconds(20)) -> String {
    do throws(StoreError) {
      return "credentials: \(try run(command, timeout: timeout).accessKeyID)"
    } catch {
      return "\(error)"
    }
  }

  @Test(
    "a command line is split as a shell splits it (the answers are those of Python's shlex)",
    arguments: [
      ("a b  c", ["a", "b", "c"]), (" a\tb\nc ", ["a", "b", "c"]), ("", []), ("''", [""]),
      ("a''b \"\"", ["ab", ""]), ("'a b'c\"d e\"", ["a bcd e"]),
      (#"a\ b \\ \'"#, ["a b", "\\", "'"]),
      (#""a\"b\\c\d$x`""#, [#"a"b\c\d$x`"#]), (#"'a\b'"#, [#"a\b"#]),
      ("a;b | c && d > e", ["a;b", "|", "c", "&&", "d", ">", "e"]), ("a #b", ["a", "#b"]),
      ("$HOME ~ *", ["$HOME", "~", "*"]), ("caf\u{E9} \u{1F600}", ["caf\u{E9}", "\u{1F600}"]),
    ]
  )
  func words(line: String, words: [String]) {
    #expect(ShellWords.split(line) == words)
  }

  @Test("an open quote or escape is no command line", arguments: ["'a", "\"a", "a\\", "\"a\\"])
  func openQuote(line: String) {
    #expect(ShellWords.split(line) == nil)
    #expect(failure(line).contains("no command line"))
  }

  @Test("what the program prints is taken, with its end in any zone")
  func printed() throws {
    let found = try run("/bin/echo '\(good)'")
    #expect(found.accessKeyID == "AK" && found.sessionToken != nil)
    #expect(found.expiry == CalendarTime(iso8601: "2030-01-01T00:00:00Z"))
    #expect(found.source == "the credential_process of the profile 'x'")
    let endless = try run(#"echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s"}'"#)
    #expect(endless.expiry == nil && endless.sessionToken == nil)
  }

  @Test("no shell looks at the command line")
  func noShell() {
    #expect(failure("/bin/echo $(echo canary)").contains("no JSON object"))
    #expect(failure("/bin/echo hello; rm -rf /nonexistent").contains("no JSON object"))
  }

  @Test(
    "what fails or prints nonsense is told without its output (S29, X8)",
    arguments: [
      ("/nonexistent/program --token canary", "cannot be started (/nonexistent/program:"),
      ("sh -c 'echo canary; echo canary >&2; exit 7'", "exit status 7"),
      ("sh -c 'kill -9 $$'", "signal 9"), ("true", "no JSON object"), ("echo canary", "no JSON"),
      ("echo [1]", "no JSON object"), ("echo '{}'", "Version other than 1"),
      (#"echo '{"Version": 2}'"#, "Version other than 1"),
      (#"echo '{"Version": 1, "AccessKeyId": "canary"}'"#, "no AccessKeyId and SecretAccessKey"),
      (
        #"echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"canary"}'"#,
        "no ISO 8601 time"
      ),
      ("head -c 1100000 /dev/zero", "more than 1048576 bytes"), ("", "no command line"),
    ]
  )
  func bad(command: String, text: String) {
    let message = failure(command)
    #expect(message.contains(text), "\(message)")
    #expect(message.contains("the profile 'x'") && !message.contains("canary"))
  }

  @Test("a program that hangs is ended with all that it has started (S29)")
  func hangs() throws {
    let files = try TemporaryDirectory()
    let script = "sleep 600 & echo $! > \(files.path)/pid; sleep 600"
    let start = ContinuousClock.now
    #expect(
      failure("sh -c '\(script)'", timeout: .milliseconds(700)).contains("did not end within")
    )
    #expect(ContinuousClock.now - start < .seconds(300))
    let text = try #require(try? SmallFileText.read("\(files.path)/pid"))
    let child = try #require(Int32(text))
    // Killed, it may still wait for its new parent.
    let deadline = ContinuousClock.now + .seconds(60)
    while SmallFileText.state(of: child) != "Z", kill(child, 0) == 0, .now < deadline {
      poll(nil, 0, 5)
    }
    #expect(kill(child, 0) != 0 || SmallFileText.state(of: child) == "Z")
  }

  @Test("a program that leaves something behind in its output's way is not waited for")
  func leavesSomething() throws {
    let start = ContinuousClock.now
    let found = try run("sh -c 'sleep 60 & echo \"$0\"' '\(good)'")
    #expect(found.accessKeyID == "AK")
    #expect(ContinuousClock.now - start < .seconds(50))
  }

  @Test("the program sees its path and home, and neither our credentials nor our descriptors (X1)")
  func environment() throws {
    let files = try TemporaryDirectory()
    let script = "env > \(files.path)/env; ls -l /proc/self/fd > \(files.path)/fd; echo \"$0\""
    let held = open("/dev/null", O_RDONLY)  // without O_CLOEXEC, on purpose
    defer { close(held) }
    _ = try run(
      "sh -c '\(script)' '\(good)'",
      environment: [
        "PATH": "/usr/bin:/bin", "HOME": "/home/x", "VAULT_ADDR": "v", "AWS_PROFILE": "p",
        "AWS_ACCESS_KEY_ID": "canary", "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_SESSION_TOKEN": "canary", "AWS_SECURITY_TOKEN": "canary", "WDSFS_X": "canary",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "canary",
      ]
    )
    let seen = try SmallFileText.read("\(files.path)/env")
    #expect(!seen.contains("canary"))
    #expect(["HOME=/home/x", "VAULT_ADDR=v", "AWS_PROFILE=p"].allSatisfy { seen.contains($0) })
    let descriptors = try SmallFileText.read("\(files.path)/fd")
    // Standard input, the file, standard error, and the folder that ls reads.
    #expect(descriptors.split(separator: "\n").count <= 5, "\(descriptors)")
  }
}

/// Reads what a test's program has written.
enum SmallFileText {
  static func read(_ path: String) throws -> String {
    guard let file = fopen(path, "r") else { throw TestFailure("no \(path)") }
    defer { fclose(file) }
    var block = [UInt8](repeating: 0, count: 64 * 1024)
    let count = fread(&block, 1, block.count, file)
    return String(decoding: block[..<count], as: UTF8.self).trimmedLines
  }

  /// The state of a process, for example `Z`; nil where it is gone.
  static func state(of process: Int32) -> String? {
    guard let text = try? read("/proc/\(process)/stat") else { return nil }
    return text.split(separator: ")").last?.split(separator: " ").first.map { String($0) }
  }
}

extension String {
  fileprivate var trimmedLines: String {
    var text = Substring(self)
    while text.last?.isNewline ?? false { text.removeLast() }
    return String(text)
  }
}
