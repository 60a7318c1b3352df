import Logging
import Remote
import S3Client
import TestSupport
import Testing

/// Proxies, limits of rate, and what is said where there is no way to the endpoint.
@Suite(.timeLimit(.minutes(10))) struct ConnectionTests {
  private let object = noise(300_000)
  private let info = ObjectInfo(key: ObjectKey("x.tar"), sizeBytes: 300_000, eTag: "\"one\"")

  private func proxies(_ environment: [String: String]) -> (inout S3Options) -> Void {
    { options in
      options.endpointURL = "http://store.invalid"
      options.transfers.proxies = ProxySettings(environment: environment)
      options.transfers.retry.timeout = .milliseconds(300)
    }
  }

  @Test("requests go through the proxy of the environment, the lower-case name first")
  func throughProxy() throws {
    let proxy = try ScriptedServer { [object] _, request in [.part(of: object, request)] }
    for environment in [
      ["http_proxy": proxy.url, "HTTP_PROXY": "http://127.0.0.1:1"], ["HTTP_PROXY": proxy.url],
      ["ALL_PROXY": proxy.url, "NO_PROXY": "other.invalid,10.0.0.0/8"],
    ] {
      let store = try FaultTests.store(proxy, change: proxies(environment))
      defer { store.shutDown() }
      #expect(try store.bytes(0..<10, of: info) == Array(object[..<10]))
    }
    #expect(
      proxy.requests.map(\.path) == Array(repeating: "http://store.invalid/b/x.tar", count: 3)
    )
  }

  @Test("no proxy is asked for what NO_PROXY names; DNS then says that there is no such host (S25)")
  func noProxy() throws {
    let proxy = try ScriptedServer { [object] _, request in [.part(of: object, request)] }
    for exception in ["store.invalid", ".invalid", "*"] {
      let environment = ["http_proxy": proxy.url, "no_proxy": exception]
      let store = try FaultTests.store(proxy, change: proxies(environment))
      defer { store.shutDown() }
      let error = #expect(throws: StoreError.self) { try store.bytes(0..<10, of: info) }
      guard case .unreachable = error else {
        Issue.record("\(error?.description ?? "bytes")")
        return
      }
    }
    #expect(proxy.requests.isEmpty)
  }

  @Test("a proxy that wants a password is asked once, and the password is never shown")
  func refusingProxy() throws {
    let proxy = try ScriptedServer { _, _ in
      [.reply("407 Proxy Authentication Required", ["Proxy-Authenticate: Basic realm=\"x\""])]
    }
    for scheme in ["http", "https"] {
      let url = proxy.url.replacing("http://", with: "http://user:canary@")
      let store = try FaultTests.store(proxy) { options in
        options.endpointURL = "\(scheme)://store.invalid"
        options.transfers.proxies = ProxySettings(environment: ["ALL_PROXY": url])
      }
      defer { store.shutDown() }
      let error = #expect(throws: StoreError.self) { try store.bytes(0..<10, of: info) }
      guard case .unreachable(_, let detail) = error else {
        Issue.record("\(error?.description ?? "bytes")")
        return
      }
      #expect(detail.contains("407") && !detail.contains("canary"))
    }
    #expect(proxy.requests.count == 2)
    #expect(proxy.requests.last?.method == "CONNECT")
    #expect(proxy.requests.last?.headers["authorization"] == nil)
  }

  @Test("a rate limit lets a burst through, then what its rate allows, and makes up for too much")
  func rateLimit() {
    let start = ContinuousClock.now
    var limit = RateLimit(perSecond: 100, at: start)
    for _ in 0..<10 {
      #expect(limit.wait(at: start) == .zero)
      limit.spend(1)
    }
    #expect(limit.wait(at: start) > .zero)
    #expect(limit.wait(at: start + .milliseconds(15)) == .zero)
    // A hundred at once, overdrawn: a second until the next.
    limit.spend(100)
    #expect(limit.wait(at: start + .milliseconds(900)) > .zero)
    #expect(limit.wait(at: start + .milliseconds(1100)) == .zero)
    // Idle time is no credit beyond a tenth of a second's.
    _ = limit.wait(at: start + .seconds(3600))
    limit.spend(11)
    #expect(limit.wait(at: start + .seconds(3600)) > .zero)
  }

  @Test("limited bodies arrive whole, several at a time, and do not count as stalled")
  func limitedBodies() throws {
    let server = try ScriptedServer { [object] _, request in [.part(of: object, request)] }
    let store = try FaultTests.store(server) { options in
      options.transfers.maxBytesPerSecond = 2_000_000
      options.transfers.maxRequestsPerSecond = 50
      options.transfers.stallTime = .milliseconds(100)
    }
    defer { store.shutDown() }
    let receivers = (0..<6).map { _ in
      let receiver = CollectingReceiver()
      _ = store.fetch(
        RangeRequest(object: info, range: 0..<300_000, priority: .readAhead),
        into: receiver
      )
      return receiver
    }
    for receiver in receivers {
      let isEqual = try receiver.wait() == object
      #expect(isEqual)
    }
    #expect(store.statistics.requests == 6)
  }

  @Test("a CA bundle that cannot be read is told at once")
  func noBundle() throws {
    let server = try ScriptedServer { _, _ in [] }
    let error = #expect(throws: StoreError.self) {
      try FaultTests.store(server) { $0.transfers.trust = .bundle(path: "/nowhere/ca.pem") }
    }
    #expect(error?.description.contains("/nowhere/ca.pem") ?? false)
  }

  @Test("who pays and who must own the bucket is said in every request, and signed")
  func payerAndOwner() throws {
    let server = try ScriptedServer { [object] _, request in [.part(of: object, request)] }
    let store = try FaultTests.store(server) { options in
      options.isRequesterPaying = true
      options.expectedBucketOwner = "123456789012"
    }
    defer { store.shutDown() }
    _ = try store.bytes(0..<10, of: info)
    let headers = try #require(server.requests.first?.headers)
    #expect(headers["x-amz-request-payer"] == "requester")
    #expect(headers["x-amz-expected-bucket-owner"] == "123456789012")
    let signed = headers["authorization"] ?? ""
    #expect(signed.contains(";x-amz-expected-bucket-owner;x-amz-request-payer"))
    #expect(throws: StoreError.self) {
      try FaultTests.store(server) { $0.expectedBucketOwner = "me" }
    }
  }
}
