package import Remote

/// The role of an EC2 instance, by its metadata service (IMDSv2).
///
/// In a container one hop further the reply to the request for a session never arrives, so that is
/// waited for no longer than a second; then, as the AWS tools do it, the first version of the service
/// is tried. Nobody there, or no role: this machine is no such instance.
package struct InstanceSource: CredentialSource {
  private static let tokenPath = "/latest/api/token"
  private static let rolePath = "/latest/meta-data/iam/security-credentials/"
  private static let maxAttempts = 10

  package let name = "the instance metadata service"
  private let context: CredentialContext

  package init(_ context: CredentialContext) {
    self.context = context
  }

  package func credentials() throws(StoreError) -> Credentials? {
    guard context.environment.filled("AWS_EC2_METADATA_DISABLED")?.lowercased() != "true" else {
      return nil
    }
    let service = try service()
    guard let token = try session(service) else { return nil }
    guard let role = try get(Self.rolePath, service, token), role.status != 404 else { return nil }
    guard role.status == 200 else { throw failure("HTTP \(role.status) to the role's name") }
    let names = String(decoding: role.body, as: UTF8.self).split(whereSeparator: \.isNewline)
    guard let roleName = names.first else { return nil }
    let path = Self.rolePath + PercentEncoding.encoded(roleName.utf8, keepingSlash: false)
    guard let reply = try get(path, service, token) else { throw failure("nothing any more") }
    guard reply.status == 200 else { throw failure("HTTP \(reply.status)") }
    return try SessionCredentials.credentials(in: reply.body, from: name)
  }

  private struct Service {
    var server: ServerAddress
    var timeout: Duration
    var attempts: Int
    var allowsFirstVersion: Bool
  }

  private enum Session {
    case token(String)

    /// The service of the first version, which knows no sessions.
    case none
  }

  /// Opens a session; nil where nobody is there.
  private func session(_ service: Service) throws(StoreError) -> Session? {
    guard let url = WebURL(service.server.origin + service.server.basePath + Self.tokenPath) else {
      return nil
    }
    let request = CredentialRequest(
      method: .put,
      url: url,
      headers: [("x-aws-ec2-metadata-token-ttl-seconds", "21600")],
      timeout: service.timeout
    )
    do throws(CredentialRequestFailure) {
      let reply = try send(request, service)
      switch reply.status {
      case 200:
        let token = String(decoding: reply.body, as: UTF8.self)
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !token.isEmpty else { break }
        return .token(token)
      case 403, 404, 405: break
      default: throw CredentialRequestFailure.noReply("HTTP \(reply.status)")
      }
    } catch {
      switch error {
      case .notReached: return nil
      case .noReply(let detail) where detail.hasPrefix("HTTP "):
        throw failure("\(detail) to the request for a session")
      case .noReply: break
      }
    }
    guard service.allowsFirstVersion else {
      throw failure("no session, and AWS_EC2_METADATA_V1_DISABLED is set; check the hop limit")
    }
    return Session.none
  }

  private func get(
    _ path: String,
    _ service: Service,
    _ session: Session
  ) throws(StoreError) -> CredentialReply? {
    guard let url = WebURL(service.server.origin + service.server.basePath + path) else {
      return nil
    }
    var request = CredentialRequest(url: url, timeout: service.timeout)
    if case .token(let token) = session {
      request.headers = [("x-aws-ec2-metadata-token", token)]
    }
    do throws(CredentialRequestFailure) {
      return try send(request, service)
    } catch {
      // Who opened a session is there.
      if case .none = session { return nil }
      throw failure(error.text)
    }
  }

  private func send(
    _ request: CredentialRequest,
    _ service: Service
  ) throws(CredentialRequestFailure) -> CredentialReply {
    try context.send(
      request,
      attempts: service.attempts,
      within: service.timeout * service.attempts + .seconds(1)
    )
  }

  private func failure(_ detail: String) -> StoreError {
    .credentials("\(name) answers: \(detail)")
  }

  /// Endpoint and limits, of the environment or the profile.
  private func service() throws(StoreError) -> Service {
    let environment = context.environment
    let profile = try ProfileSettings(profile: context.profile, environment: environment)
    func setting(_ variable: String, _ name: String) -> String? {
      environment.filled(variable) ?? profile[name]
    }
    let mode = setting(
      "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
      "ec2_metadata_service_endpoint_mode"
    )
    let usual = mode?.lowercased() == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254"
    let text = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint")
    let server: ServerAddress
    do throws(StoreError) {
      server = try ServerAddress(endpoint: text ?? usual)
    } catch {
      throw .credentials("AWS_EC2_METADATA_SERVICE_ENDPOINT: \(error)")
    }
    let seconds = setting("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")
      .flatMap { Double($0) }
    let attempts = setting("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts")
      .flatMap { Int($0) }
    let disabled = setting("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled")
    return Service(
      server: server,
      timeout: .seconds(seconds.map { $0 > 0.01 && $0 <= 60 ? $0 : 1 } ?? 1),
      attempts: min(max(attempts ?? 1, 1), Self.maxAttempts),
      allowsFirstVersion: disabled?.lowercased() != "true"
    )
  }
}
