import Logging
import Remote
import S3Client
import TestSupport
import Testing

/// The rows S1 to S29 of docs/reliability.md, as far as a transport has to answer for them.
@Suite(.timeLimit(.minutes(10))) struct FaultTests {
  static let object = noise(300_000)
  static let info = ObjectInfo(
    key: ObjectKey("train/a b+c.tar"),
    sizeBytes: 300_000,
    eTag: "\"one\""
  )

  /// A store over the server, with short limits and no randomness to speak of.
  static func store(
    _ server: ScriptedServer,
    keys: Bool = true,
    bucket: String = "b",
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    change: (inout S3Options) -> Void = { _ in }
  ) throws -> S3ObjectStore {
    var options = S3Options(environment: [
      "AWS_ACCESS_KEY_ID": "AKIDCANARY", "AWS_SECRET_ACCESS_KEY": "canary-secret",
      "AWS_SESSION_TOKEN": "canary-token", "AWS_ENDPOINT_URL": server.url,
      "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    ])
    options.signsRequests = keys
    options.transfers.stallTime = .milliseconds(400)
    options.transfers.headTimeout = .milliseconds(800)
    options.transfers.retry.baseDelay = .milliseconds(2)
    options.transfers.retry.throttledBaseDelay = .milliseconds(2)
    options.transfers.retry.timeout = .seconds(20)
    options.listTimeout = .seconds(5)
    change(&options)
    return try S3ObjectStore(bucket: bucket, prefix: [], options: options, logger: logger)
  }

  /// Fetches a range from a server that answers so, and says how it went.
  private func fetch(
    _ range: Range<Int64> = 1000..<200_000,
    of info: ObjectInfo = info,
    script: @escaping @Sendable (Int, ScriptedServer.Request) -> [ScriptedServer.Action]
  ) throws -> (result: Result<[UInt8], StoreError>, requests: [ScriptedServer.Request]) {
    let server = try ScriptedServer(script)
    let store = try Self.store(server)
    defer { store.shutDown() }
    do throws(StoreError) {
      return (.success(try store.bytes(range, of: info)), server.requests)
    } catch {
      return (.failure(error), server.requests)
    }
  }

  private let expected = Array(object[1000..<200_000])

  /// Compares outside of the macro, which would look for the difference of long arrays.
  private func expectEqual(
    _ result: Result<[UInt8], StoreError>,
    _ expected: [UInt8],
    at location: SourceLocation = #_sourceLocation
  ) {
    switch result {
    case .success(let bytes):
      let isEqual = bytes == expected
      #expect(isEqual, "\(bytes.count) bytes", sourceLocation: location)
    case .failure(let error): Issue.record("\(error)", sourceLocation: location)
    }
  }

  @Test("a range GET carries range, If-Match and a signature, and asks for no encoding")
  func plain() throws {
    let (result, requests) = try fetch { _, request in [.part(of: Self.object, request)] }
    expectEqual(result, expected)
    let request = try #require(requests.first)
    #expect(request.path == "/b/train/a%20b%2Bc.tar")
    #expect(request.headers["range"] == "bytes=1000-199999")
    #expect(request.headers["if-match"] == "\"one\"")
    #expect(request.headers["accept-encoding"] == "identity")
    #expect(request.headers["x-amz-security-token"] == "canary-token")
    #expect(request.headers["authorization"]?.contains("Credential=AKIDCANARY/") ?? false)
  }

  @Test(
    "what is sick is asked again (S1, S2)",
    arguments: [
      "503 Slow Down", "500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout",
      "429 Too Many Requests",
    ]
  )
  func sick(status: String) throws {
    let (result, requests) = try fetch { number, request in
      number < 2
        ? [.reply(status, body: "<html>no XML at all".utf8)] : [.part(of: Self.object, request)]
    }
    expectEqual(result, expected)
    #expect(requests.count == 3)
  }

  @Test("a connection that breaks before the reply is made anew (S4)")
  func resetBeforeReply() throws {
    let (result, requests) = try fetch { number, request in
      number == 0 ? [.reset] : [.part(of: Self.object, request)]
    }
    expectEqual(result, expected)
    #expect(requests.count == 2)
  }

  @Test(
    "a body that breaks off is taken up where it broke, with If-Match (S5)",
    arguments: [true, false]
  )
  func resumed(byReset: Bool) throws {
    let (result, requests) = try fetch { number, request in
      number == 0
        ? [.begunPart(of: Self.object, request, count: 70_000), byReset ? .stall : .close]
        : [.part(of: Self.object, request)]
    }
    expectEqual(result, expected)
    #expect(requests.count == 2)
    #expect(requests.last?.headers["range"] == "bytes=71000-199999")
    #expect(requests.last?.headers["if-match"] == "\"one\"")
  }

  @Test("no reply at all, and one whose head drags on, are given up and asked again (S7)")
  func noReply() throws {
    let (result, requests) = try fetch { number, request in
      switch number {
      case 0: [.stall]
      case 1: [.text("HTTP/1.1 206 Partial Content\r\nX-Slow: 1"), .stall]
      case 2: [.text("HTTP/1.1 206 OK\r\n"), .endlessly(Array("X-More: 0123456789\r\n".utf8))]
      default: [.part(of: Self.object, request)]
      }
    }
    expectEqual(result, expected)
    #expect(requests.count == 4)
  }

  @Test("a whole reply to a range is cut where the range begins early (S8)")
  func rangeIgnored() throws {
    let (result, requests) = try fetch { _, _ in
      [.reply("200 OK", ["ETag: \"one\""], body: Self.object)]
    }
    expectEqual(result, expected)
    #expect(requests.count == 1)
  }

  @Test("a whole reply to a range far inside is no use (S8)")
  func rangeIgnoredFarInside() throws {
    let info = ObjectInfo(key: ObjectKey("big.tar"), sizeBytes: 20 << 20, eTag: "\"one\"")
    let (result, requests) = try fetch(10 << 20..<11 << 20, of: info) { _, _ in
      [.text("HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: \(20 << 20)\r\n\r\n"), .stall]
    }
    #expect(result == .failure(.rangesUnsupported(key: info.key)))
    #expect(requests.count == 1)
  }

  @Test("an object without ranges is read from any place, by passing over what lies before")
  func noRanges() throws {
    let count = 12 << 20
    let body = [UInt8](repeating: 7, count: count - 5) + [1, 2, 3, 4, 5]
    let info = ObjectInfo(
      key: ObjectKey("x.tar"),
      sizeBytes: Int64(count),
      eTag: "\"one\"",
      acceptsRanges: false
    )
    let (result, requests) = try fetch(Int64(count) - 6..<Int64(count) - 1, of: info) { _, _ in
      [.reply("200 OK", ["ETag: \"one\""], body: body)]
    }
    #expect(result == .success([7, 1, 2, 3, 4]))
    #expect(requests.first?.headers["range"] == nil)
  }

  @Test("200 with a fitting Content-Range counts as a part (S9)")
  func okWithContentRange() throws {
    let (result, _) = try fetch { _, request in
      let range = request.range ?? 0...0
      return [
        .reply(
          "200 OK",
          ["ETag: \"one\"", "Content-Range: bytes \(range.lowerBound)-\(range.upperBound)/300000"],
          body: Self.object[range]
        )
      ]
    }
    expectEqual(result, expected)
  }

  @Test(
    "a Content-Range that does not fit is refused, and asked again three times (S10, S12)",
    arguments: [
      "bytes 0-198999/300000", "bytes 1000-199999/300001", "bytes 1000-199998/300000", "bytes x",
      "bytes 199999-1000/300000", "bytes 1000-99999999999999999999/300000", "",
    ]
  )
  func wrongContentRange(text: String) throws {
    let (result, requests) = try fetch { _, request in
      let header = text.isEmpty ? [] : ["Content-Range: \(text)"]
      return [
        .reply(
          "206 Partial Content",
          ["ETag: \"one\""] + header,
          body: Self.object[1000..<200_000]
        )
      ]
    }
    guard case .failure(.badReply) = result else {
      Issue.record("not refused: \(result)")
      return
    }
    #expect(requests.count == 4)
  }

  @Test("an honest reply with fewer bytes is taken, and the rest asked for (S11)")
  func clipped() throws {
    let (result, requests) = try fetch { _, request in
      let first = request.range?.lowerBound ?? 0
      let end = min(first + 50_000, 200_000)
      return [
        .reply(
          "206 Partial Content",
          ["ETag: \"one\"", "Content-Range: bytes \(first)-\(end - 1)/300000"],
          body: Self.object[first..<end]
        )
      ]
    }
    expectEqual(result, expected)
    #expect(requests.count == 4)
  }

  @Test("bytes beyond the range are never handed on; a sound reply after them is (S12, S18)")
  func extraBytes() throws {
    let (result, requests) = try fetch { number, request in
      guard number == 0 else { return [.part(of: Self.object, request)] }
      return [
        .text(
          "HTTP/1.1 206 OK\r\nETag: \"one\"\r\nContent-Range: bytes 1000-199999/300000\r\n"
            + "Connection: close\r\n\r\n"
        ),
        .send(Array(Self.object[1000..<200_000])), .endlessly([UInt8](repeating: 9, count: 1000)),
      ]
    }
    expectEqual(result, expected)
    #expect(requests.count == 2)
  }

  @Test("a reply that runs on without end is thrown away whole, whatever it began with (S18)")
  func endlessBody() throws {
    let (result, requests) = try fetch { number, request in
      guard number == 0 else { return [.part(of: Self.object, request)] }
      return [
        .text(
          "HTTP/1.1 206 OK\r\nETag: \"one\"\r\nContent-Range: bytes 1000-199999/300000\r\n\r\n"
        ),
        .endlessly([UInt8](repeating: 0, count: 1000)),
      ]
    }
    expectEqual(result, expected)
    #expect(requests.last?.headers["range"] == "bytes=1000-199999")
  }

  @Test("a large range whose reply has no length is asked for in pieces")
  func openEndedPieces() throws {
    let count = 9 << 20
    let info = ObjectInfo(key: ObjectKey("x.tar"), sizeBytes: Int64(count) + 1, eTag: "\"one\"")
    let (result, requests) = try fetch(0..<Int64(count), of: info) { _, request in
      guard let range = request.range else { return [.close] }
      return [
        .text(
          "HTTP/1.1 206 OK\r\nETag: \"one\"\r\nContent-Range: bytes "
            + "\(range.lowerBound)-\(range.upperBound)/\(count + 1)\r\n\r\n"
        ),
        .send([UInt8](repeating: 7, count: range.count)), .close,
      ]
    }
    let isEqual = try result.get() == [UInt8](repeating: 7, count: count)
    #expect(isEqual)
    #expect(requests.count == 3)
  }

  @Test("chunked and unlengthed replies that are sound just work (S17)")
  func unlengthed() throws {
    let (result, requests) = try fetch { number, request in
      [
        .text(
          "HTTP/1.0 206 OK\r\nETag: \"one\"\r\nContent-Range: bytes 1000-199999/300000\r\n\r\n"
        ),
        .send(Array(Self.object[1000..<200_000])), .close,
      ]
    }
    expectEqual(result, expected)
    #expect(requests.count == 1)
  }

  @Test(
    "an object that changed is told, at once and with both tags (S13, S24)",
    arguments: [
      (["ETag: \"two\"", "Content-Range: bytes 1000-199999/300000"], "206 OK"),
      (["ETag: \"two\"", "Content-Range: bytes 1000-199999/400000"], "206 OK"),
      (["Content-Range: bytes 1000-199999/400000"], "206 OK"),
      ([], "412 Precondition Failed"), ([], "416 Range Not Satisfiable"),
    ]
  )
  func changed(headers: [String], status: String) throws {
    let (result, requests) = try fetch { _, request in
      [.reply(status, headers, body: status.hasPrefix("2") ? Self.object[1000..<200_000] : [])]
    }
    guard case .failure(.objectChanged(_, let listed, _)) = result else {
      Issue.record("not noticed: \(result)")
      return
    }
    #expect(listed == "\"one\"")
    #expect(requests.count == 1)
  }

  @Test("a weak ETag is compared without its mark and not sent in If-Match (S14)")
  func weakTag() throws {
    let info = ObjectInfo(key: Self.info.key, sizeBytes: 300_000, eTag: "W/\"one\"")
    let (result, requests) = try fetch(of: info) { _, request in [.part(of: Self.object, request)] }
    expectEqual(result, expected)
    #expect(requests.first?.headers["if-match"] == nil)
  }

  @Test("an object that is gone, refused or archived is not asked for again (S15, S22, S24)")
  func hopeless() throws {
    func code(_ status: String, _ code: String) throws -> StoreError? {
      let (result, requests) = try fetch { _, _ in
        [.reply(status, body: "<Error><Code>\(code)</Code><Message>m</Message></Error>".utf8)]
      }
      #expect(requests.count == 1)
      guard case .failure(let error) = result else { return nil }
      return error
    }
    #expect(try code("404 Not Found", "NoSuchKey") == .noSuchObject(key: Self.info.key))
    guard case .noSuchContainer = try code("404 Not Found", "NoSuchBucket") else {
      Issue.record("NoSuchBucket")
      return
    }
    guard
      case .refused(_, "AccessDenied", "(m) to the credentials of the environment") = try code(
        "403 Forbidden",
        "AccessDenied"
      )
    else {
      Issue.record("AccessDenied")
      return
    }
    guard case .refused = try code("403 Forbidden", "InvalidObjectState") else {
      Issue.record("InvalidObjectState")
      return
    }
    guard case .credentials(let text) = try code("403 Forbidden", "InvalidAccessKeyId") else {
      Issue.record("InvalidAccessKeyId")
      return
    }
    #expect(!text.contains("canary-secret") && text.contains("environment"))
  }

  @Test("an encoded or many-part body is refused (S17)")
  func encoded() throws {
    for header in ["Content-Encoding: gzip", "Content-Type: multipart/byteranges; boundary=x"] {
      let (result, _) = try fetch { number, request in
        number == 0
          ? [
            .reply(
              "206 OK",
              [header, "ETag: \"one\"", "Content-Range: bytes 1000-199999/300000"],
              body: Self.object[1000..<200_000]
            )
          ] : [.part(of: Self.object, request)]
      }
      expectEqual(result, expected)
    }
  }

  @Test("what is no HTTP is refused and asked again (S18)")
  func noHTTP() throws {
    let (result, requests) = try fetch { number, request in
      number == 0 ? [.text("hello\r\n\r\n"), .close] : [.part(of: Self.object, request)]
    }
    expectEqual(result, expected)
    #expect(requests.count == 2)
  }

  @Test("replies that are no reply yet, or never one, hold nobody up and give no byte (S17, S18)")
  func noFinalReply() throws {
    let answers: [[ScriptedServer.Action]] = [
      // Another protocol, and what may be its bytes.
      [.text("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), .endlessly([7, 7, 7])],
      [.endlessly(Array("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".utf8))],
      [.reply("204 No Content", ["ETag: \"one\""])],
      [.reply("304 Not Modified", ["ETag: \"one\""])],
      // The preface of HTTP/2, and a frame.
      [.text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), .send([0, 0, 0, 4, 0, 0, 0, 0, 0]), .close],
    ]
    for (place, answer) in answers.enumerated() {
      let (result, requests) = try fetch { number, request in
        number == 0 ? answer : [.part(of: Self.object, request)]
      }
      if place == 3 {
        // Nothing was asked with a condition that this could answer: a refusal like any other.
        #expect(requests.count == 1)
        continue
      }
      expectEqual(result, expected)
      #expect(requests.count == 2, "answer \(place)")
    }
  }

  @Test("what a chunked reply says behind its body changes nothing of it (S12, S17)")
  func trailers() throws {
    let (result, _) = try fetch { _, request in
      guard let range = request.range else { return [.close] }
      let head = [
        "HTTP/1.1 206 Partial Content", "ETag: \"one\"", "Trailer: ETag, Content-Range",
        "Content-Range: bytes \(range.lowerBound)-\(range.upperBound)/300000",
        "Transfer-Encoding: chunked", "", String(range.count, radix: 16) + ";name=\"value\"", "",
      ]
      return [
        .text(head.joined(separator: "\r\n")), .send(Array(Self.object[range])),
        .text("\r\n0\r\nETag: \"two\"\r\nContent-Range: bytes 0-9/10\r\n\r\n"),
      ]
    }
    expectEqual(result, expected)
  }

  @Test("a redirect to another host is refused, and nothing is sent there (S19)")
  func redirectAway() throws {
    let trap = try ScriptedServer { _, request in [.part(of: Self.object, request)] }
    let away = trap.url
    let (result, requests) = try fetch { _, _ in
      [.reply("307 Temporary Redirect", ["Location: \(away)/b/x.tar"])]
    }
    guard case .failure(.badReply(_, let detail)) = result, detail.hasPrefix("redirect refused")
    else {
      Issue.record("followed: \(result)")
      return
    }
    #expect(requests.count == 1)
    #expect(trap.requests.isEmpty)
  }

  @Test("a redirect on the same server is followed and signed anew; a loop of them ends (S19)")
  func redirectHere() throws {
    let (result, requests) = try fetch { number, request in
      number == 0
        ? [.reply("307 Temporary Redirect", ["Location: /moved/x.tar"])]
        : [.part(of: Self.object, request)]
    }
    expectEqual(result, expected)
    #expect(requests.last?.path == "/moved/x.tar")
    #expect(requests[0].headers["authorization"] != requests[1].headers["authorization"])
    let (loop, loopRequests) = try fetch { _, _ in
      [.reply("307 Temporary Redirect", ["Location: /moved/x.tar"])]
    }
    #expect(loopRequests.count == 3)
    guard case .failure(.badReply) = loop else {
      Issue.record("followed: \(loop)")
      return
    }
  }

  @Test("the bucket's region is learnt once, and kept (S20)")
  func region() throws {
    let server = try ScriptedServer { _, request in
      request.headers["authorization"]?.contains("/eu-west-3/") ?? false
        ? [.part(of: Self.object, request)]
        : [.reply("400 Bad Request", ["x-amz-bucket-region: eu-west-3"])]
    }
    let store = try Self.store(server)
    defer { store.shutDown() }
    for _ in 0..<2 { #expect(try store.bytes(1000..<200_000, of: Self.info) == expected) }
    #expect(server.requests.count == 3)
  }

  @Test("nobody at the endpoint is told within the deadline (S25)")
  func unreachable() throws {
    let port = try LoopbackPort.free()
    let server = try ScriptedServer { _, _ in [] }
    let store = try Self.store(server) { options in
      options.endpointURL = "http://127.0.0.1:\(port)"
      options.transfers.retry.timeout = .milliseconds(300)
    }
    defer { store.shutDown() }
    #expect(throws: StoreError.self) { try store.bytes(0..<10, of: Self.info) }
    let error = #expect(throws: StoreError.self) { try store.objects() }
    guard case .unreachable(let endpoint, _) = error else {
      Issue.record("\(error?.description ?? "a listing from nowhere")")
      return
    }
    #expect(endpoint == "http://127.0.0.1:\(port)")
  }

  @Test("a fetch that is cancelled ends so, and one that pauses gets the same bytes again")
  func cancelAndPause() throws {
    let server = try ScriptedServer { _, request in [.part(of: Self.object, request)] }
    let store = try Self.store(server)
    defer { store.shutDown() }
    let request = RangeRequest(object: Self.info, range: 0..<300_000, priority: .readAhead)
    let receiver = CollectingReceiver(pausesAt: [0, 2])
    let ticket = store.fetch(request, into: receiver)
    receiver.waitForPause()
    #expect(receiver.count == 0)
    ticket.resume()
    receiver.waitForPause()
    ticket.raisePriority()
    ticket.resume()
    #expect(try receiver.wait() == Self.object)
    let second = CollectingReceiver(pausesAt: [1])
    let stopped = store.fetch(request, into: second)
    second.waitForPause()
    stopped.cancel()
    #expect(throws: StoreError.cancelled) { try second.wait() }
    #expect(store.statistics.requestsInFlight == 0)
  }

  @Test("a reader does not wait behind read-ahead that holds every connection")
  func readersFirst() throws {
    let server = try ScriptedServer { _, request in
      request.range?.lowerBound == 0 ? [.stall] : [.part(of: Self.object, request)]
    }
    let store = try Self.store(server) { options in
      options.transfers.maxConnections = 2
      options.transfers.headTimeout = .seconds(30)
    }
    let stuck = (0..<5).map { _ in
      let receiver = CollectingReceiver()
      _ = store.fetch(
        RangeRequest(object: Self.info, range: 0..<10, priority: .readAhead),
        into: receiver
      )
      return receiver
    }
    #expect(try store.bytes(1000..<200_000, of: Self.info) == expected)
    // Two of the five, and the reader's own.
    #expect(server.requests.count <= 3)
    store.shutDown()
    for receiver in stuck { #expect(throws: StoreError.cancelled) { try receiver.wait() } }
  }

  @Test("no secret, token or signature is logged at any level (X1)")
  func noSecretsInLogs() throws {
    let lines = KeptLines()
    let server = try ScriptedServer { number, request in
      number == 0
        ? [.reply("503 Slow Down", body: "<Error><Code>SlowDown</Code></Error>".utf8)]
        : number == 1
          ? [.reply("403 Forbidden", body: "<Error><Code>ExpiredToken</Code></Error>".utf8)]
          : [.reset]
    }
    var options = S3Options(environment: [
      "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "canary-secret",
      "AWS_SESSION_TOKEN": "canary-token", "AWS_CONFIG_FILE": "/dev/null",
      "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    ])
    options.endpointURL = server.url
    options.transfers.retry.throttledBaseDelay = .milliseconds(2)
    options.transfers.retry.timeout = .milliseconds(200)
    let store = try S3ObjectStore(bucket: "b", prefix: [], options: options, logger: lines.logger)
    defer { store.shutDown() }
    #expect(throws: StoreError.self) { try store.bytes(0..<10, of: Self.info) }
    #expect(throws: StoreError.self) { try store.bytes(0..<10, of: Self.info) }
    let all = lines.all.joined(separator: "\n")
    #expect(all.contains("s3.throttled") && all.contains("s3.failed"))
    for canary in ["canary", "Signature=", "AWS4-HMAC"] { #expect(!all.contains(canary)) }
    #expect("\(Secret("canary"))" == "***")
    #expect(!"\(options.transfers)".contains("canary"))
  }
}
