import Glibc
import Logging
import Remote
import S3Client
import TestSupport
import Testing

/// The network faults of a faulting proxy in front of a real server, where both are there (S1–S18).
@Suite(
  .enabled(if: S3Server.isAvailable && FaultyProxy.isAvailable),
  .serialized,
  .timeLimit(.minutes(10))
)
struct FaultyProxyTests {
  /// Fetches through the proxy, which breaks the first try of every range.
  private func fetch(
    _ fault: String,
    _ arguments: String,
    once: Bool = true
  ) throws -> (Result<[UInt8], StoreError>, expected: [UInt8]) {
    let server = try S3Server()
    let content = noise(600_000)
    try server.directory.write(content, to: "bucket/x.tar")
    let rule =
      "{\"id\": \"r\", \"fault\": \"\(fault)\", \"args\": \(arguments), \"match\": "
      + "{\"kind\": \"GetObject\"\(once ? ", \"per\": \"key\", \"times\": 1" : "")}}"
    try server.directory.write("{\"rules\": [\(rule)]}".utf8, to: "rules.json")
    let (proxy, port) = try LoopbackPort.serve { (port) throws(TestFailure) in
      try RunningProcess(
        "python3",
        [
          "-B", FaultyProxy.program,
          "--upstream", String(server.endpointURL.dropFirst("http://".count)),
          "--upstream-key", "\(S3Server.accessKeyID),\(S3Server.secretAccessKey)",
          "--listen", "127.0.0.1:\(port)", "--config", server.directory.path + "/rules.json",
        ]
      )
    }
    defer { proxy.stop() }
    var options = S3Options(environment: server.environment)
    options.endpointURL = "http://127.0.0.1:\(port)"
    options.transfers.stallTime = .seconds(1)
    options.transfers.headTimeout = .seconds(1)
    options.transfers.retry.throttledBaseDelay = .milliseconds(50)
    let store = try S3ObjectStore(
      bucket: "bucket",
      prefix: [],
      options: options,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
    defer { store.shutDown() }
    let object = try #require(try store.objects().first)
    let expected = Array(content[200_000..<500_000])
    do throws(StoreError) {
      return (.success(try store.bytes(200_000..<500_000, of: object)), expected)
    } catch {
      return (.failure(error), expected)
    }
  }

  @Test(
    "a fault that passes is not seen",
    arguments: [
      ("slowdown", "{}"), ("too_many_requests", "{}"), ("internal_error", "{\"body\": \"html\"}"),
      ("bad_gateway", "{}"), ("gateway_timeout", "{}"), ("request_timeout", "{}"),
      ("reset", "{\"where\": \"request\"}"), ("reset", "{\"where\": \"headers\"}"),
      ("reset", "{\"where\": \"body\", \"after\": 100000}"),
      ("close", "{\"where\": \"request\"}"), ("close", "{\"where\": \"headers\"}"),
      ("close", "{\"where\": \"body\", \"after\": 100000}"),
      ("stall", "{\"after\": 100000}"), ("drip", "{\"after\": 100000}"), ("blackhole", "{}"),
      ("slow_headers", "{}"), ("huge_header", "{}"), ("endless_headers", "{}"),
      ("ignore_range", "{}"), ("wrong_content_range", "{}"), ("clipped", "{}"), ("short_206", "{}"),
      ("wrong_length", "{}"), ("dup_length", "{}"), ("extra_bytes", "{}"), ("etag_missing", "{}"),
      ("gzip", "{}"), ("chunked", "{}"), ("no_length", "{}"), ("http10", "{}"),
      ("early_hints", "{}"), ("multipart", "{}"), ("bad_status_line", "{}"), ("bad_chunk", "{}"),
      ("endless_body", "{}"),
    ]
  )
  func passes(fault: String, arguments: String) throws {
    let (result, expected) = try fetch(fault, arguments)
    switch result {
    case .success(let bytes):
      // Not within the macro, which would look for the difference of long arrays.
      let isEqual = bytes == expected
      #expect(isEqual, "\(bytes.count) bytes")
    case .failure(let error): Issue.record("\(fault): \(error)")
    }
  }
}

/// The proxy's place beside the package: it belongs to the specification, not to the program.
private enum FaultyProxy {
  static let program: String = {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return "/\(root)/../shared/faults/faulty_s3.py"
  }()

  static var isAvailable: Bool { access(program, R_OK) == 0 }
}
