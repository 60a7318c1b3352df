import CCurl
import Remote

/// A small HTTP request to a service that gives credentials, with its one reply; blocks.
///
/// It may hold secrets: never log it.
package struct CredentialRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET"
    case put = "PUT"
    case post = "POST"
  }

  package var method = Method.get
  package var url: WebURL
  package var headers: [(name: String, value: String)] = []
  package var body: [UInt8] = []
  package var timeout: Duration

  /// False for what answers on the machine itself: such a request never leaves it through a proxy
  /// (docs/reliability.md, X7).
  package var mayUseProxy = false

  /// Nil: none.
  package var proxies: ProxySettings?
  package var trust = ServerTrust.system
}

/// The reply to such a request.
package struct CredentialReply: Sendable {
  package let status: Int
  package let head: ReplyHead?
  package let body: [UInt8]

  package init(status: Int, head: ReplyHead? = nil, body: [UInt8]) {
    self.status = status
    self.head = head
    self.body = body
  }
}

/// Why there is no reply.
package enum CredentialRequestFailure: Error, Hashable, Sendable {
  /// Nobody there: no such name, refused, no route, or no connection in time.
  case notReached(String)

  /// Connected, and no whole reply came.
  case noReply(String)
}

/// Sends a request and waits for its reply; tests put their own in its place.
package typealias CredentialTransport =
  @Sendable (CredentialRequest) throws(CredentialRequestFailure) -> CredentialReply

extension CredentialRequest {
  /// docs/reliability.md, X8: as for a process.
  private static let maxBodyBytes = 1024 * 1024

  /// What libcurl calls back while a request runs.
  private final class Collector {
    var head: [UInt8] = []
    var body: [UInt8] = []

    func receive(headerLine line: UnsafeRawBufferPointer) -> Bool {
      if line.starts(with: "HTTP/".utf8) { head.removeAll() }
      guard head.count + line.count <= ReplyHead.maxBytes else { return false }
      head.append(contentsOf: line)
      return true
    }

    func receive(body bytes: UnsafeRawBufferPointer) -> Bool {
      guard body.count + bytes.count <= maxBodyBytes else { return false }
      body.append(contentsOf: bytes)
      return true
    }
  }

  /// Sends it by a libcurl handle of its own, on the calling thread.
  ///
  /// Follows no redirect, reads no `.netrc`, and verifies TLS always.
  package static let send: CredentialTransport = {
    (request) throws(CredentialRequestFailure) -> CredentialReply in
    _ = TransferLoop.globalSetUp
    guard var handle = EasyHandle() else { throw .notReached("libcurl gave no handle") }
    let collector = Collector()
    return try withExtendedLifetime(collector) { () throws(CredentialRequestFailure) in
      request.configure(&handle, collector)
      let result = curl_easy_perform(handle.raw)
      guard result == CURLE_OK else { throw failure(result, handle) }
      guard let head = ReplyHead(collector.head) else { throw .noReply("no HTTP") }
      return CredentialReply(status: head.status, head: head, body: collector.body)
    }
  }

  private func configure(_ handle: inout EasyHandle, _ collector: Collector) {
    handle.set(CURLOPT_URL, url.text)
    handle.set(CURLOPT_PROTOCOLS_STR, "http,https")
    handle.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    handle.set(CURLOPT_HTTP09_ALLOWED, 0)
    handle.set(trust)
    handle.set(CURLOPT_NOSIGNAL, 1)
    handle.set(CURLOPT_FOLLOWLOCATION, 0)
    handle.set(CURLOPT_PATH_AS_IS, 1)
    handle.set(CURLOPT_TIMEOUT_MS, timeout.wholeMilliseconds)
    if let proxies {
      proxies.apply(to: handle, url: url.text)
    } else {
      handle.set(CURLOPT_PROXY, "")
    }
    if method != .get {
      handle.set(CURLOPT_CUSTOMREQUEST, method.rawValue)
      handle.set(CURLOPT_POSTFIELDSIZE, body.count)
      handle.set(CURLOPT_COPYPOSTFIELDS, String(decoding: body, as: UTF8.self))
    }
    handle.set(
      headers: headers.map { "\($0.name): \($0.value)" }
        + ["User-Agent: wdsfs", "Expect:"]
        + (headers.contains { $0.name == "content-type" } ? [] : ["Content-Type:"])
    )
    let context = Unmanaged.passUnretained(collector).toOpaque()
    handle.set(CURLOPT_HEADERDATA, context)
    handle.set(CURLOPT_WRITEDATA, context)
    handle.set(CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      guard let context, let bytes else { return 0 }
      let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
      let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
      return collector.receive(headerLine: line) ? line.count : 0
    }
    handle.set(CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      guard let context, let bytes else { return 0 }
      let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
      let block = UnsafeRawBufferPointer(start: bytes, count: size * count)
      return collector.receive(body: block) ? block.count : 0
    }
  }

  private static func failure(
    _ result: CURLcode,
    _ handle: borrowing EasyHandle
  ) -> CredentialRequestFailure {
    let text = handle.failure.isEmpty ? String(cString: curl_easy_strerror(result)) : handle.failure
    switch result {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
      CURLE_INTERFACE_FAILED:
      return .notReached(text)
    case CURLE_OPERATION_TIMEDOUT:
      // In microseconds; 0 where there never was a connection.
      var connectTime = 0
      wdsfs_easy_get_long(handle.raw, CURLINFO_CONNECT_TIME_T, &connectTime)
      return connectTime == 0 ? .notReached(text) : .noReply(text)
    default: return .noReply(text)
    }
  }
}
