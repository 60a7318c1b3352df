import Logging
import Remote
import S3Client
import TestSupport
import Testing

/// Shards on web servers: a real nginx, Python's, which gives no ranges, and scripted ones.
@Suite(.timeLimit(.minutes(10))) struct WebStoreTests {
  static let nginxProgram: String? = ["/usr/sbin/nginx", "/usr/bin/nginx"].first {
    RunningProcess.isProgram($0)
  }
  static let pythonProgram: String? = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
    RunningProcess.isProgram($0)
  }

  private func store(_ remote: String) throws -> WebObjectStore {
    guard case .web(let urls, _) = try RemoteAddress(parsing: remote) else {
      throw TestFailure("\(remote) is no web remote")
    }
    return try WebObjectStore(
      urls: urls,
      displayName: remote,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
  }

  private func files() throws -> TemporaryDirectory {
    let files = try TemporaryDirectory()
    for number in 0..<12 {
      let name = number < 10 ? "d/x y-0\(number).tar" : "d/x y-\(number).tar"
      try files.write(noise(100_000 + number, seed: UInt64(number)), to: name)
    }
    return files
  }

  private func check(_ store: WebObjectStore, acceptsRanges: Bool) throws {
    defer { store.shutDown() }
    let objects = try store.objects()
    #expect(objects.map(\.sizeBytes) == (0..<12).map { 100_000 + $0 })
    #expect(objects.first?.key == ObjectKey("x%20y-00.tar"))
    #expect(objects.allSatisfy { $0.acceptsRanges == acceptsRanges && !$0.eTag.isEmpty })
    for (number, object) in objects.enumerated() {
      let content = noise(100_000 + number, seed: UInt64(number))
      #expect(try store.bytes(0..<object.sizeBytes, of: object) == content)
      #expect(try store.bytes(70_001..<90_002, of: object) == Array(content[70_001..<90_002]))
    }
  }

  @Test("nginx gives ranges, guarded by its ETags", .enabled(if: nginxProgram != nil))
  func nginx() throws {
    let program = try #require(Self.nginxProgram)
    let files = try files()
    let (server, port) = try LoopbackPort.serve { (port) throws(TestFailure) in
      let configuration = """
        daemon off; master_process off; pid \(files.path)/pid; error_log stderr;
        events {}
        http {
          access_log off; client_body_temp_path \(files.path)/t1; proxy_temp_path \(files.path)/t2;
          fastcgi_temp_path \(files.path)/t3; uwsgi_temp_path \(files.path)/t4;
          scgi_temp_path \(files.path)/t5;
          server { listen 127.0.0.1:\(port); root \(files.path); }
        }
        """
      try files.write(configuration.utf8, to: "nginx.conf")
      return try RunningProcess(
        program,
        ["-e", "stderr", "-p", files.path, "-c", "\(files.path)/nginx.conf"]
      )
    }
    let store = try store("http://127.0.0.1:\(port)/d/x y-{00..11}.tar")
    try check(store, acceptsRanges: true)
    let other = try self.store("http://127.0.0.1:\(port)/d/x y-00.tar")
    defer { other.shutDown() }
    let object = try #require(try other.objects().first)
    try files.write(noise(100_000, seed: 99), to: "d/x y-00.tar.new")
    try files.rename("d/x y-00.tar.new", to: "d/x y-00.tar")
    try files.setModified("d/x y-00.tar", seconds: 1_000_000_000)
    let error = #expect(throws: StoreError.self) { try other.bytes(0..<10, of: object) }
    guard case .objectChanged = error else {
      Issue.record("\(error?.description ?? "the replaced object was read")")
      return
    }
    server.stop()
  }

  @Test("Python's server gives no ranges, and is read whole", .enabled(if: pythonProgram != nil))
  func pythonServer() throws {
    let program = try #require(Self.pythonProgram)
    let files = try files()
    let (server, port) = try LoopbackPort.serve { (port) throws(TestFailure) in
      try RunningProcess(
        program,
        ["-m", "http.server", "\(port)", "--bind", "127.0.0.1", "--directory", files.path]
      )
    }
    try check(store("http://127.0.0.1:\(port)/d/x y-{00..11}.tar"), acceptsRanges: false)
    server.stop()
  }

  @Test("missing shards are counted, and the first is named")
  func missing() throws {
    let server = try ScriptedServer { _, request in
      request.path.hasSuffix("1.tar") || request.path.hasSuffix("3.tar")
        ? [.text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
        : [.text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nAccept-Ranges: bytes\r\n\r\n")]
    }
    let store = try store("\(server.url)/d/x-{0..4}.tar")
    defer { store.shutDown() }
    #expect(
      throws: StoreError.missingShards(
        first: "\(server.url)/d/x-1.tar",
        missingCount: 2,
        totalCount: 5
      )
    ) { try store.objects() }
  }

  @Test("a server without HEAD is asked for the first byte; without ETags by time and size")
  func noHead() throws {
    let object = noise(1000)
    let server = try ScriptedServer { _, request in
      if request.method == "HEAD" {
        return [.text("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")]
      }
      guard let range = request.range else { return [.close] }
      return [
        .reply(
          "206 OK",
          [
            "Last-Modified: Fri, 24 May 2013 00:00:00 GMT",
            "Content-Range: bytes \(range.lowerBound)-\(range.upperBound)/1000",
          ],
          body: object[range]
        )
      ]
    }
    let store = try store("\(server.url)/x.tar?token=canary")
    defer { store.shutDown() }
    let info = try #require(try store.objects().first)
    #expect(info.key == ObjectKey("x.tar"))
    #expect(info.sizeBytes == 1000 && info.acceptsRanges && info.modifiedSeconds == 1_369_353_600)
    #expect(info.eTag.hasPrefix("W/"))
    #expect(try store.bytes(10..<20, of: info) == Array(object[10..<20]))
    #expect(server.requests.allSatisfy { $0.path == "/x.tar?token=canary" })
    #expect(server.requests.last?.headers["if-match"] == nil)
    let later = ObjectInfo(
      key: info.key,
      sizeBytes: 1000,
      eTag: info.eTag,
      modifiedSeconds: info.modifiedSeconds + 1
    )
    let error = #expect(throws: StoreError.self) { try store.bytes(10..<20, of: later) }
    guard case .objectChanged = error else {
      Issue.record("\(error?.description ?? "an object of another time was read")")
      return
    }
  }

  @Test("a redirect to another host is followed, since nothing secret goes with it")
  func redirect() throws {
    let object = noise(1000)
    let second = try ScriptedServer { _, request in
      request.method == "HEAD"
        ? [
          .text(
            "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nAccept-Ranges: bytes\r\nContent-Length: 1000\r\n\r\n"
          )
        ]
        : [.part(of: object, request)]
    }
    let there = second.url
    let first = try ScriptedServer { _, _ in
      [.text("HTTP/1.1 302 Found\r\nLocation: \(there)/y.tar\r\nContent-Length: 0\r\n\r\n")]
    }
    let store = try store("\(first.url)/x.tar")
    defer { store.shutDown() }
    let info = try #require(try store.objects().first)
    #expect(try store.bytes(10..<900, of: info) == Array(object[10..<900]))
  }

  @Test("names on two servers, and user names in a URL, are refused without showing them")
  func refusedNames() {
    for remote in ["http://a/x.tar::http://b/y.tar", "http://me:canary@a/x.tar", "http:///x.tar"] {
      let error = #expect(throws: StoreError.self) { _ = try store(remote) }
      #expect(!(error?.description.contains("canary") ?? true))
    }
  }
}
