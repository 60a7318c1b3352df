import Glibc
import Schema
import Testing

/// The user's own decoder: what it gets, what it may do, and how it ends.
@Suite struct DecoderProgramTests {
  init() {
    // As in the mount: a program that reads nothing must not end us.
    signal(SIGPIPE, SIG_IGN)
  }

  private func run(
    _ words: [String],
    _ input: [UInt8] = [],
    environment: [String: String] = [:],
    maxBytes: Int = 1 << 20,
    maxTime: Duration = .seconds(60)
  ) throws -> [UInt8] {
    var environment = environment
    environment["PATH"] = "/usr/bin:/bin"
    let program = try DecoderProgram(
      words: words,
      environment: environment,
      maxBytes: maxBytes,
      maxTime: maxTime
    )
    return try input.withUnsafeBytes { try program.run($0) }
  }

  @Test("It reads all of the field and writes what the field becomes")
  func pipes() throws {
    // More than a pipe holds, both ways at once.
    let input = (0..<500_000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(try run(["cat"], input) == input)
    #expect(try run(["tr", "a-z", "A-Z"], Array("small".utf8)) == Array("SMALL".utf8))
    #expect(try run(["wc", "-c"], []) == Array("0\n".utf8))
  }

  @Test("One that does not read its input is heard all the same")
  func readsNothing() throws {
    let input = [UInt8](repeating: 1, count: 1 << 20)
    #expect(try run(["echo", "done"], input) == Array("done\n".utf8))
  }

  @Test("It sees the environment, but nothing of AWS")
  func environment() throws {
    let seen = try run(["env"], environment: ["AWS_SECRET_ACCESS_KEY": "hidden", "MODE": "fast"])
    let text = String(decoding: seen, as: UTF8.self)
    #expect(text.contains("MODE=fast"))
    #expect(!text.contains("hidden"))
  }

  @Test("A failure says how it ended and what it said last")
  func fails() {
    #expect(throws: DecodeError.program("the program has ended with status 3: no such key")) {
      try run(["sh", "-c", "echo first >&2; echo no such key >&2; exit 3"])
    }
    #expect(throws: DecodeError.program("the program was ended by signal 9")) {
      try run(["sh", "-c", "kill -9 $$"])
    }
  }

  @Test("One that does not end is killed, with what it has started")
  func takesTooLong() throws {
    let error = #expect(throws: DecodeError.self) {
      try run(["sh", "-c", "sleep 1000 & wait"], maxTime: .milliseconds(300))
    }
    #expect(error?.isLasting == false)
    #expect(error?.description == "the program has not ended after 0.3 seconds")
  }

  @Test("One that writes more than is allowed is killed")
  func writesTooMuch() {
    #expect(throws: DecodeError.self) { try run(["yes"], maxBytes: 100_000) }
  }

  @Test("One that allocates more than is allowed fails by itself")
  func allocatesTooMuch() {
    // Only once the limit is there, which comes a moment after its start.
    let script = """
      import resource, time
      while resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY:
          time.sleep(0.01)
      b = bytearray(6 << 30)
      """
    #expect(throws: DecodeError.self) { try run(["python3", "-c", script]) }
  }

  @Test("A program that is missing is known before it is run")
  func missing() {
    #expect(throws: ProgramError.self) { try run(["no-such-decoder"]) }
    #expect(throws: ProgramError.self) { try run(["/etc/passwd"]) }
    #expect(throws: ProgramError.self) { try run(["/no/such/decoder"]) }
  }
}
