import Remote

/// A web server: nothing is signed, so redirects may lead anywhere but from https to http.
final class WebOrigin: Origin {
  /// The URL that every key lies below; ends with a slash.
  let base: WebURL
  private let queries: [ObjectKey: String]

  init(base: WebURL, queries: [ObjectKey: String]) {
    self.base = base
    self.queries = queries
  }

  var endpointName: String { base.server.origin }

  func request(
    for target: RequestTarget,
    at redirect: WebURL?
  ) throws(StoreError) -> HTTPRequest {
    var headers: [(name: String, value: String)] = []
    if let range = target.range {
      headers.append(("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
    }
    if let eTag = target.eTag { headers.append(("if-match", eTag)) }
    var url = redirect?.text
    if url == nil, let key = target.key {
      url = base.text + PercentEncoding.repaired(key.bytes) + (queries[key].map { "?" + $0 } ?? "")
    }
    return HTTPRequest(method: target.method, url: url ?? base.text, headers: headers)
  }

  func mayFollow(_ redirect: WebURL, number: Int) -> Bool {
    number <= 5 && (redirect.server.isSecure || !base.server.isSecure)
  }

  func verdict(on reply: FailedReply, to target: RequestTarget) -> ReplyVerdict {
    let status = reply.head.status
    switch status {
    case 404, 410:
      guard let key = target.key else { return .hopeless(.noSuchContainer(base.text)) }
      return .hopeless(.noSuchObject(key: key))
    case 429: return .failed(.throttled, detail: "HTTP 429")
    case 408, 500, 502, 503, 504: return .failed(.transient, detail: "HTTP \(status)")
    default: return .hopeless(.refused(what: target.what, code: "HTTP \(status)", detail: ""))
    }
  }
}
