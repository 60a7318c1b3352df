import Crypto
import Remote

/// AWS STS: exchanges credentials or a token of an identity provider for those of a role.
struct SecurityTokenService {
  /// docs/reliability.md, S29.
  static let timeout: Duration = .seconds(5)
  private static let attempts = 3

  /// Tokens of sessions may grow, AWS says, without giving a limit.
  private static let maxTokenBytes = 64 * 1024

  private let context: CredentialContext
  private let server: ServerAddress
  private let region: String

  /// The role that is wanted.
  struct Role {
    let arn: String
    var sessionName: String?
    var externalID: String?
    var durationSeconds: Int?

    /// For messages, for example `the role arn:… of the profile 'x'`.
    let name: String
  }

  /// Finds its endpoint.
  ///
  /// - Throws: `StoreError.credentials` for a region or an endpoint that makes no sense.
  init(_ context: CredentialContext, profile: ProfileSettings) throws(StoreError) {
    self.context = context
    let environment = context.environment
    let region =
      context.region ?? environment.filled("AWS_REGION") ?? environment.filled("AWS_DEFAULT_REGION")
      ?? profile["region"]
    server = try AWSService.sts.server(region: region, environment, profile)
    self.region = region ?? "us-east-1"
  }

  /// AssumeRole.
  func credentials(of role: Role, signedBy signer: Credentials) throws(StoreError) -> Credentials {
    try ask("AssumeRole", for: role, [("ExternalId", role.externalID)], signer)
  }

  /// AssumeRoleWithWebIdentity; nobody signs it.
  func credentials(of role: Role, webIdentityToken: String) throws(StoreError) -> Credentials {
    try ask("AssumeRoleWithWebIdentity", for: role, [("WebIdentityToken", webIdentityToken)], nil)
  }

  private func ask(
    _ action: String,
    for role: Role,
    _ more: [(name: String, value: String?)],
    _ signer: Credentials?
  ) throws(StoreError) -> Credentials {
    let fields: [(name: String, value: String?)] =
      [
        ("Action", action), ("Version", "2011-06-15"), ("RoleArn", role.arn),
        ("RoleSessionName", role.sessionName ?? "wdsfs-\(context.clock.now.seconds)"),
        ("DurationSeconds", role.durationSeconds.map { "\($0)" }),
      ] + more
    let body = fields.compactMap { field in
      field.value.map {
        "\(field.name)=\(PercentEncoding.encoded($0.utf8, keepingSlash: false))"
      }
    }
    .joined(separator: "&")
    let reply: CredentialReply
    do throws(CredentialRequestFailure) {
      reply = try send(Array(body.utf8), signer)
    } catch {
      throw failure(role, error.text)
    }
    let texts = Self.texts(reply.body)
    guard reply.status == 200 else {
      let code = texts["Code"] ?? "HTTP \(reply.status)"
      let detail = texts["Message"].map { " (\(PrintableName.text($0.utf8)))" } ?? ""
      throw failure(role, PrintableName.text(code.utf8) + detail)
    }
    guard let identifier = texts["AccessKeyId"], let secret = texts["SecretAccessKey"],
      let token = texts["SessionToken"], let end = texts["Expiration"],
      let expiry = CalendarTime(iso8601: end)
    else { throw failure(role, "a reply without credentials") }
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: Secret(token),
      expiry: expiry,
      source: role.name
    )
  }

  /// Sends it, once more by the server's clock where that is quite another than ours.
  private func send(
    _ body: [UInt8],
    _ signer: Credentials?
  ) throws(CredentialRequestFailure) -> CredentialReply {
    let signedAt = context.clock.now
    let reply = try context.send(
      try request(body, signer, at: signedAt),
      attempts: Self.attempts,
      within: Self.timeout
    )
    guard signer != nil, reply.status == 400 || reply.status == 403,
      context.clock.learn(date: reply.head?["date"], signedAt: signedAt, logger: context.logger)
    else { return reply }
    return try context.send(
      try request(body, signer, at: context.clock.now),
      attempts: 1,
      within: Self.timeout
    )
  }

  private func request(
    _ body: [UInt8],
    _ signer: Credentials?,
    at time: CalendarTime
  ) throws(CredentialRequestFailure) -> CredentialRequest {
    let path = server.basePath + "/"
    guard let url = WebURL(server.origin + path) else { throw .notReached("no such address") }
    let type = (name: "content-type", value: "application/x-www-form-urlencoded; charset=utf-8")
    var headers = [type]
    if let signer {
      var input = RequestSignature.Input(host: server.authority, path: url.path)
      input.method = "POST"
      input.headers = [type]
      input.service = "sts"
      input.bodyHash = RequestSignature.hex(SHA256.hash(data: body))
      headers += RequestSignature().headers(
        for: input,
        credentials: signer,
        region: region,
        at: time
      )
    }
    return CredentialRequest(
      method: .post,
      url: url,
      headers: headers,
      body: body,
      timeout: Self.timeout,
      mayUseProxy: true
    )
  }

  private func failure(_ role: Role, _ detail: String) -> StoreError {
    .credentials("cannot assume \(role.name): \(server.origin): \(detail)")
  }

  /// The first text of each element, by the element's name.
  private static func texts(_ body: [UInt8]) -> [String: String] {
    var parser = XMLPullParser(body, maxTextBytes: maxTokenBytes)
    var open: [String] = []
    var texts: [String: String] = [:]
    do throws(XMLPullParser.Malformed) {
      while let event = try parser.next() {
        switch event {
        case .start(let name): open.append(name)
        case .end: open.removeLast()
        case .text(let text):
          guard let name = open.last, texts[name] == nil else { continue }
          texts[name] = String(decoding: text, as: UTF8.self)
        case .longText: return [:]
        }
      }
    } catch {
      return [:]
    }
    return texts
  }
}

extension CredentialRequestFailure {
  var text: String {
    switch self {
    case .notReached(let detail), .noReply(let detail): PrintableName.text(detail.utf8)
    }
  }
}
