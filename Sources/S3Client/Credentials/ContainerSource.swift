package import Remote

/// The endpoint that ECS and EKS (pod identity) offer to a container.
package struct ContainerSource: CredentialSource {
  /// docs/reliability.md, S29.
  private static let timeout: Duration = .seconds(5)
  private static let attempts = 3

  /// Where a relative URI points: the agent of ECS.
  private static let agent = "http://169.254.170.2"

  /// The hosts that may be asked without TLS, loopback apart: the agents of ECS and EKS.
  private static let allowedHosts = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]

  package let name = "the container endpoint"
  private let context: CredentialContext

  package init(_ context: CredentialContext) {
    self.context = context
  }

  package func credentials() throws(StoreError) -> Credentials? {
    guard let url = try endpoint() else { return nil }
    var headers = [(name: "accept", value: "application/json")]
    if let token = try authorization() { headers.append(("authorization", token)) }
    let reply: CredentialReply
    do throws(CredentialRequestFailure) {
      reply = try context.send(
        CredentialRequest(url: url, headers: headers, timeout: .seconds(2)),
        attempts: Self.attempts,
        within: Self.timeout
      )
    } catch {
      throw .credentials("\(name) \(url.server.origin) does not answer: \(error.text)")
    }
    guard reply.status == 200 else {
      throw .credentials("\(name) \(url.server.origin) answers HTTP \(reply.status)")
    }
    return try SessionCredentials.credentials(in: reply.body, from: name)
  }

  private func endpoint() throws(StoreError) -> WebURL? {
    let environment = context.environment
    if let path = environment.filled("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
      guard path.hasPrefix("/"), let url = WebURL(Self.agent + path) else {
        throw .credentials("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path; it begins with /")
      }
      return url
    }
    guard let text = environment.filled("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return nil }
    guard let url = WebURL(text) else {
      throw .credentials("AWS_CONTAINER_CREDENTIALS_FULL_URI is no http(s) URL")
    }
    guard url.server.isSecure || Self.isAllowed(url.server) else {
      throw .credentials(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI names \(url.server.origin); without https that may be "
          + "loopback or \(Self.allowedHosts.joined(separator: ", "))"
      )
    }
    return url
  }

  private static func isAllowed(_ server: ServerAddress) -> Bool {
    let isLoopback =
      ["localhost", "[::1]"].contains(server.host)
      || server.isAddress && server.host.hasPrefix("127.")
    return isLoopback || allowedHosts.contains(server.host)
  }

  /// The token for it: read anew each time, since EKS replaces the file.
  private func authorization() throws(StoreError) -> String? {
    let environment = context.environment
    if let path = environment.filled("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
      return try SmallFile.token("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", at: path)
    }
    guard let token = environment.filled("AWS_CONTAINER_AUTHORIZATION_TOKEN") else { return nil }
    guard token.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
      throw .credentials("AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line's end; it is no token")
    }
    return token
  }
}
