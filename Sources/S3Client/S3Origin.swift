import Logging
import Remote
import Synchronization

/// An S3 endpoint: signs requests, learns the bucket's region, and knows S3's errors.
final class S3Origin: Origin {
  let bucket: String
  private let settings: S3Settings
  private let signature = RequestSignature()
  private let region: Mutex<Region>
  private let usesPathStyle: Mutex<Bool>

  private struct Region {
    var name: String
    var isLearnt = false
  }

  init(bucket: String, settings: S3Settings) {
    self.bucket = bucket
    self.settings = settings
    region = Mutex(Region(name: settings.region))
    usesPathStyle = Mutex(settings.usesPathStyle)
  }

  var endpointName: String { server.origin }

  var credentialsText: String? {
    settings.credentials.current.map { "those of \($0.source)\($0.untilText)" }
  }

  /// Names the store in caches, whatever the region's host.
  var identity: String {
    let place = settings.address.endpoint.map { $0.origin + $0.basePath } ?? "amazonaws.com"
    return "s3:\(place)/\(bucket)"
  }

  var server: ServerAddress {
    settings.address.server(inRegion: region.withLock { $0.name })
  }

  // MARK: - Requests

  func request(
    for target: RequestTarget,
    at redirect: WebURL?
  ) throws(StoreError) -> HTTPRequest {
    let server: ServerAddress
    let path: String
    if let redirect {
      (server, path) = (redirect.server, redirect.path)
    } else {
      let place = settings.address.place(
        inRegion: region.withLock { $0.name },
        usesPathStyle: usesPathStyle.withLock { $0 }
      )
      server = place.server
      path = place.path + PercentEncoding.encoded(target.key?.bytes ?? [], keepingSlash: true)
    }
    let query = redirect.map { $0.query ?? "" } ?? Self.encoded(target.query)
    var signed = settings.headers
    if target.wantsChecksum { signed.append(("x-amz-checksum-mode", "ENABLED")) }
    // The one place where an end is inclusive.
    if let range = target.range {
      signed.append(("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
    }
    var headers = signed + [("host", server.authority)]
    if let eTag = target.eTag { headers.append(("if-match", eTag)) }
    if let body = target.body {
      headers += [("content-md5", body.md5), ("content-type", "application/octet-stream")]
    }
    let signing = settings.credentials.current.map {
      HTTPRequest.Signing(signer: $0, time: settings.clock.now)
    }
    if let signing {
      var input = RequestSignature.Input(host: server.authority, path: path)
      input.method = target.method.name
      input.bodyHash = target.body?.sha256 ?? RequestSignature.emptyBodyHash
      input.query = query
      input.headers = signed
      headers += signature.headers(
        for: input,
        credentials: signing.signer,
        region: region.withLock { $0.name },
        at: signing.time
      )
    }
    let url = server.origin + path + (query.isEmpty ? "" : "?" + query)
    return HTTPRequest(
      method: target.method,
      url: url,
      headers: headers,
      body: target.body?.content,
      signing: signing
    )
  }

  private static func encoded(_ query: [(name: String, value: String)]) -> String {
    query.map { item in
      PercentEncoding.encoded(item.name.utf8, keepingSlash: false) + "="
        + PercentEncoding.encoded(item.value.utf8, keepingSlash: false)
    }
    .sorted().joined(separator: "&")
  }

  /// Never to another owner's host, since the request goes out signed; never from https to http.
  func mayFollow(_ redirect: WebURL, number: Int) -> Bool {
    let home = server
    guard number <= 2, redirect.server.isSecure || !home.isSecure else { return false }
    if redirect.server.host == home.host {
      return redirect.server.port == home.port
        || redirect.server.isSecure && redirect.server.port == 443
    }
    guard redirect.server.port == home.port, !home.isAddress else { return false }
    // A subdomain of the endpoint, or its neighbour: the parent must still be somebody's own.
    let parent = home.host.split(separator: ".").dropFirst()
    let domain =
      AWSPartition.domain(ofHost: home.host)
      ?? (parent.count >= 3 ? parent.joined(separator: ".") : home.host)
    return redirect.server.host.hasSuffix("." + domain)
  }

  // MARK: - Errors

  func verdict(on reply: FailedReply, to target: RequestTarget) -> ReplyVerdict {
    let error = ErrorBody(reply.body)
    let status = reply.head.status
    let code = error.code.isEmpty ? "HTTP \(status)" : error.code
    let detail = error.code.isEmpty ? code : "HTTP \(status) \(code)"
    if let hint = reply.head["x-amz-bucket-region"] ?? error.region,
      status == 301 || status == 307 || status == 400, let verdict = learn(hint)
    {
      return verdict
    }
    if Self.wantsVirtualHost(error.code), let verdict = changeStyle() { return verdict }
    if status == 429 || Self.isThrottling(error.code) { return .failed(.throttled, detail: detail) }
    if [500, 502, 503, 504, 408].contains(status) || error.code == "RequestTimeout" {
      return .failed(.transient, detail: detail)
    }
    switch error.code {
    case "NoSuchBucket": return .hopeless(noSuchBucket)
    case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
      return renewal(.expired, reply, .credentials(credentialsText(code, error.message)))
    case "InvalidAccessKeyId", "SignatureDoesNotMatch":
      return renewal(.denied, reply, .credentials(credentialsText(code, error.message)))
    case "RequestTimeTooSkewed":
      return signedAnew(reply, .credentials(credentialsText(code, error.message)))
    case "AuthorizationHeaderMalformed":
      return .hopeless(.credentials(credentialsText(code, error.message)))
    default: break
    }
    if status == 404 {
      guard let key = target.key else { return .hopeless(noSuchBucket) }
      return .hopeless(.noSuchObject(key: key))
    }
    let refused = StoreError.refused(
      what: target.what,
      code: code,
      detail: (error.message.isEmpty ? "" : "(\(error.message)) ") + askedText
    )
    // An archived object is no matter of who asks (docs/reliability.md, S24).
    return status == 403 && error.code != "InvalidObjectState"
      ? renewal(.denied, reply, refused) : .hopeless(refused)
  }

  /// Has the request signed by the server's time (docs/reliability.md, S23).
  private func signedAnew(_ reply: FailedReply, _ error: StoreError) -> ReplyVerdict {
    guard let signing = reply.signing,
      settings.clock.learn(
        date: reply.head["date"],
        signedAt: signing.time,
        logger: settings.logger
      )
    else { return .hopeless(error) }
    return .again
  }

  /// Has the source of the credentials asked once (docs/reliability.md, S21 and S22).
  private func renewal(
    _ reason: RefreshPlan.Refusal,
    _ reply: FailedReply,
    _ error: StoreError
  ) -> ReplyVerdict {
    guard let signer = reply.signing?.signer else { return .hopeless(error) }
    let lesson: Lesson = { [settings] learnt in
      settings.credentials.renew(after: signer, reason) { renewal in
        switch (renewal, reason) {
        case (.renewed, _): learnt(nil)
        case (.failed(let failure), .expired): learnt(failure)
        case (.failed, .denied), (.unchanged, _): learnt(error)
        }
      }
    }
    return .later(lesson, otherwise: error)
  }

  private static func isThrottling(_ code: String) -> Bool {
    code.hasPrefix("Throttl") || code.hasPrefix("TooManyRequests")
      || ["SlowDown", "RequestThrottled", "RequestLimitExceeded", "BandwidthLimitExceeded"]
        .contains(code)
  }

  private var noSuchBucket: StoreError {
    .noSuchContainer("the bucket \(bucket) at \(endpointName)")
  }

  private func credentialsText(_ code: String, _ message: String) -> String {
    let source = settings.credentials.current?.source ?? "no source"
    let help =
      switch code {
      case "RequestTimeTooSkewed": "set this machine's clock"
      case "ExpiredToken", "TokenRefreshRequired": "get new ones and mount again"
      default: "check the keys and the region"
      }
    return "\(endpointName) does not accept the credentials of \(source): \(code)"
      + (message.isEmpty ? "" : " (\(message))") + "; \(help)"
  }

  /// In whose name the store is asked.
  private var askedText: String {
    settings.credentials.current.map { "to the credentials of \($0.source)" }
      ?? "to an unsigned request"
  }

  /// The codes of stores that take no bucket in the path (Alibaba's OSS, Tencent's COS).
  private static func wantsVirtualHost(_ code: String) -> Bool {
    code == "SecondLevelDomainForbidden" || code == "PathStyleDomainForbidden"
  }

  /// Puts the bucket into the host's name, once; nil where that makes no sense.
  private func changeStyle() -> ReplyVerdict? {
    guard settings.mayChangeStyle, AccessPoint.isLabel(bucket), !server.isAddress else {
      return nil
    }
    let isNews = usesPathStyle.withLock { usesPathStyle in
      defer { usesPathStyle = false }
      return usesPathStyle
    }
    let text = "the store wants the bucket in the host's name, and gets it there"
    return isNews
      ? .learnt(Remark(level: .notice, event: "s3.addressing", text: text)) : .again
  }

  /// Takes over the bucket's region, once; nil where that has been tried, or makes no sense.
  private func learn(_ hint: String) -> ReplyVerdict? {
    guard S3Settings.isRegion(hint) else { return nil }
    return region.withLock { region in
      // Another request has learnt it already, and this one was still on its way.
      if region.isLearnt { return region.name == hint ? .again : nil }
      guard region.name != hint else { return nil }
      region = Region(name: hint, isLearnt: true)
      let text = "the bucket is in the region \(hint); say so by --region to save a request"
      return .learnt(Remark(level: .notice, event: "s3.region", text: text))
    }
  }
}
