import Glibc
import Logging
import Remote
import S3Client
import Synchronization
import TestSupport
import Testing

/// Credentials that end, over sources and servers that tests answer for.
@Suite(.timeLimit(.minutes(10))) struct CredentialProviderTests {
  private typealias Source = ScriptedSource
  private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test("near the end the source is asked once in the background, and whoever signs never waits")
  func background() throws {
    let now = Mutex(Int64(0))
    let asked = ReadySignal()
    let goesOn = ReadySignal()
    let source = Source { number in
      if number == 0 { return Source.keys("old", until: CalendarTime(seconds: 3600)) }
      asked.signal()
      goesOn.wait()
      return Source.keys("new", until: CalendarTime(seconds: 7200))
    }
    let lines = KeptLines()
    let provider = try CredentialProvider(
      [source],
      clock: ServerClock { CalendarTime(seconds: now.withLock { $0 }) },
      logger: lines.logger
    )
    #expect(provider.current?.accessKeyID == "old" && source.count == 1)
    now.withLock { $0 = 3000 }
    for _ in 0..<100 { #expect(provider.current?.accessKeyID == "old") }
    asked.wait()
    #expect(provider.current?.accessKeyID == "old")
    goesOn.signal()
    while provider.current?.accessKeyID == "old" { yieldBriefly() }
    #expect(provider.current?.accessKeyID == "new" && source.count == 2)
    let text = lines.all.joined(separator: "\n")
    #expect(text.contains("cred.source") && text.contains("1970-01-01T01:00:00Z"))
    #expect(!text.contains("canary"))
  }

  @Test("a source that fails leaves the old credentials in use, and is reported")
  func keepsOld() throws {
    let source = Source { (number) throws(StoreError) in
      if number == 0 { return Source.keys("old", until: CalendarTime(seconds: 100)) }
      throw .credentials("the source is ill")
    }
    let lines = KeptLines()
    let now = Mutex(Int64(0))
    let provider = try CredentialProvider(
      [source],
      clock: ServerClock { CalendarTime(seconds: now.withLock { $0 }) },
      logger: lines.logger
    )
    now.withLock { $0 = 90 }
    #expect(provider.current?.accessKeyID == "old")
    while !lines.all.contains(where: { $0.contains("cred.source_failed") }) { yieldBriefly() }
    #expect(provider.current?.accessKeyID == "old")
    #expect(lines.all.contains { $0.contains("the source is ill") })
  }

  /// A store whose profile is in a file that the test may write anew.
  private func store(
    _ server: ScriptedServer,
    _ files: TemporaryDirectory,
    key: String,
    logger: Logger? = nil
  ) throws -> S3ObjectStore {
    try write(key, to: files)
    var options = S3Options(environment: [
      "AWS_ENDPOINT_URL": server.url, "AWS_CONFIG_FILE": "/dev/null",
      "AWS_SHARED_CREDENTIALS_FILE": files.path + "/credentials",
    ])
    options.transfers.retry.baseDelay = .milliseconds(2)
    options.listTimeout = .seconds(5)
    return try S3ObjectStore(bucket: "b", prefix: [], options: options, logger: logger ?? quiet)
  }

  private func write(_ key: String, to files: TemporaryDirectory) throws {
    let text = "[default]\naws_access_key_id=\(key)\naws_secret_access_key=canary-secret\n"
    try files.write(text.utf8, to: "credentials")
  }

  /// Answers the key `new` with data, all others with an error.
  private static func onlyNew(
    _ status: String,
    _ code: String
  )
    -> @Sendable (Int, ScriptedServer.Request) -> [ScriptedServer.Action]
  {
    { _, request in
      let isNew = request.headers["authorization"]?.contains("Credential=new/") ?? false
      return isNew
        ? [.part(of: FaultTests.object, request)]
        : [.reply(status, body: "<Error><Code>\(code)</Code></Error>".utf8)]
    }
  }

  @Test(
    "credentials that ended or were replaced are read anew, and the refused request sent once more (S21, S22)",
    arguments: [
      ("400 Bad Request", "ExpiredToken"), ("400 Bad Request", "TokenRefreshRequired"),
      ("403 Forbidden", "InvalidToken"), ("403 Forbidden", "InvalidAccessKeyId"),
      ("403 Forbidden", "AccessDenied"), ("403 Forbidden", "SignatureDoesNotMatch"),
    ]
  )
  func renewed(status: String, code: String) throws {
    let files = try TemporaryDirectory()
    let server = try ScriptedServer(Self.onlyNew(status, code))
    let lines = KeptLines()
    let store = try store(server, files, key: "old", logger: lines.logger)
    defer { store.shutDown() }
    try write("new", to: files)
    #expect(try store.bytes(0..<10, of: FaultTests.info) == Array(FaultTests.object[..<10]))
    #expect(server.requests.count == 2)
    #expect(store.statistics.failures == 0)
    #expect(lines.all.contains { $0.contains("cred.refresh") })
    #expect(!lines.all.contains { $0.contains("canary") })
  }

  @Test(
    "credentials that are the same at their source are not tried again (S21, S22)",
    arguments: ["ExpiredToken", "AccessDenied"]
  )
  func unchanged(code: String) throws {
    let files = try TemporaryDirectory()
    let server = try ScriptedServer(Self.onlyNew("403 Forbidden", code))
    let store = try store(server, files, key: "old")
    defer { store.shutDown() }
    let error = #expect(throws: StoreError.self) { try store.bytes(0..<10, of: FaultTests.info) }
    #expect(server.requests.count == 1)
    #expect(error?.description.contains(code) ?? false)
  }

  @Test("a request is sent once more, not again and again (S21)")
  func once() throws {
    let files = try TemporaryDirectory()
    let server = try ScriptedServer { number, _ in
      [.reply("403 Forbidden", body: "<Error><Code>ExpiredToken</Code></Error>".utf8)]
    }
    let store = try store(server, files, key: "old")
    defer { store.shutDown() }
    try write("newer", to: files)
    #expect(throws: StoreError.self) { try store.bytes(0..<10, of: FaultTests.info) }
    #expect(server.requests.count == 2)
  }

  @Test("a source that fails at the end of the credentials is the reason that is told (S21, S29)")
  func failed() throws {
    let files = try TemporaryDirectory()
    let server = try ScriptedServer(Self.onlyNew("400 Bad Request", "ExpiredToken"))
    let store = try store(server, files, key: "old")
    defer { store.shutDown() }
    try files.write("canary\n".utf8, to: "credentials")
    let error = #expect(throws: StoreError.self) { try store.bytes(0..<10, of: FaultTests.info) }
    #expect(error?.description.contains("/credentials, line 1") ?? false)
    #expect(server.requests.count == 1)
  }

  @Test("a hundred requests refused at once share one inquiry and all get their bytes (S21)")
  func manyRefused() throws {
    let files = try TemporaryDirectory()
    let server = try ScriptedServer(Self.onlyNew("400 Bad Request", "ExpiredToken"))
    let lines = KeptLines()
    let store = try store(server, files, key: "old", logger: lines.logger)
    defer { store.shutDown() }
    try write("new", to: files)
    let receivers = (0..<100).map { number in
      let receiver = CollectingReceiver()
      let range = Int64(number)..<Int64(number + 10)
      _ = store.fetch(
        RangeRequest(object: FaultTests.info, range: range, priority: .readAhead),
        into: receiver
      )
      return receiver
    }
    for (number, receiver) in receivers.enumerated() {
      #expect(try receiver.wait() == Array(FaultTests.object[number..<(number + 10)]))
    }
    #expect(lines.all.count { $0.contains("cred.refresh") } == 1)
    #expect(server.requests.count <= 200, "each is refused once at most")
  }

  @Test("what waits for new credentials is answered when it is cancelled or the store closes")
  func cancelled() throws {
    let files = try TemporaryDirectory()
    // At first it prints keys at once, later it hangs.
    let script = "test -e \(files.path)/slow && sleep 40; echo \"$0\""
    let keys = #"{"Version":1,"AccessKeyId":"old","SecretAccessKey":"canary-secret"}"#
    let config = "[default]\ncredential_process = sh -c '\(script)' '\(keys)'\n"
    try files.write(config.utf8, to: "config")
    let server = try ScriptedServer(Self.onlyNew("400 Bad Request", "ExpiredToken"))
    var options = S3Options(environment: [
      "AWS_ENDPOINT_URL": server.url, "AWS_CONFIG_FILE": files.path + "/config",
      "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "PATH": "/usr/bin:/bin",
    ])
    options.listTimeout = .milliseconds(500)
    let store = try S3ObjectStore(bucket: "b", prefix: [], options: options, logger: quiet)
    try files.write([], to: "slow")
    let receivers = [CollectingReceiver(), CollectingReceiver()]
    let tickets = receivers.map {
      store.fetch(
        RangeRequest(object: FaultTests.info, range: 0..<10, priority: .reader),
        into: $0
      )
    }
    while server.requests.count < 2 { yieldBriefly() }
    let start = ContinuousClock.now
    // A listing has its own end, whatever it waits for.
    #expect(throws: StoreError.self) { try store.objects() }
    tickets[0].cancel()
    #expect(throws: StoreError.cancelled) { try receivers[0].wait() }
    store.shutDown()
    #expect(throws: StoreError.cancelled) { try receivers[1].wait() }
    #expect(ContinuousClock.now - start < .seconds(30), "somebody waited for the program")
  }

  @Test("a clock that is off is corrected by the server's, once for all requests (S23)")
  func clock() throws {
    let anHourOn = CalendarTime(seconds: CalendarTime.now.seconds + 3600)
    let server = try ScriptedServer { _, request in
      // The hour in x-amz-date, and the day for the change at midnight.
      let signed = request.headers["x-amz-date"]?.prefix(11) ?? ""
      return signed >= anHourOn.compact.prefix(11)
        ? [.part(of: FaultTests.object, request)]
        : [
          .reply(
            "403 Forbidden",
            ["Date: \(anHourOn.httpDate)"],
            body: "<Error><Code>RequestTimeTooSkewed</Code></Error>".utf8
          )
        ]
    }
    let files = try TemporaryDirectory()
    let lines = KeptLines()
    let store = try store(server, files, key: "k", logger: lines.logger)
    defer { store.shutDown() }
    for _ in 0..<3 {
      #expect(try store.bytes(0..<10, of: FaultTests.info) == Array(FaultTests.object[..<10]))
    }
    #expect(server.requests.count == 4)
    #expect(lines.all.count { $0.contains("s3.clock_offset") } == 1)
    #expect(store.statistics.retries == 0 || store.statistics.retries == 1)
  }

  @Test(
    "a clock that the server still does not like, or says nothing of, is refused (S23)",
    arguments: [true, false]
  )
  func clockInVain(saysDate: Bool) throws {
    let wrong = CalendarTime(seconds: 1_000_000_000)
    let server = try ScriptedServer { _, _ in
      [
        .reply(
          "403 Forbidden",
          saysDate ? ["Date: \(wrong.httpDate)"] : [],
          body: "<Error><Code>RequestTimeTooSkewed</Code></Error>".utf8
        )
      ]
    }
    let files = try TemporaryDirectory()
    let store = try store(server, files, key: "k")
    defer { store.shutDown() }
    let error = #expect(throws: StoreError.self) { try store.bytes(0..<10, of: FaultTests.info) }
    #expect(error?.description.contains("set this machine's clock") ?? false)
    #expect(server.requests.count == (saysDate ? 2 : 1))
  }
}

extension CalendarTime {
  /// As the Date header has it; the day of the week is read by nobody.
  fileprivate var httpDate: String {
    let months = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    let words = iso8601.split { !$0.isNumber }
    let month = months[(Int(words[1]) ?? 1) - 1]
    return "Mon, \(words[2]) \(month) \(words[0]) \(words[3]):\(words[4]):\(words[5]) GMT"
  }
}

/// Lets others run while a condition is waited for.
private func yieldBriefly() {
  poll(nil, 0, 1)
}
