import Crypto
import FoundationEssentials
import Logging
import Remote

/// A profile of IAM Identity Center: the token that `aws sso login` got, exchanged for a role.
///
/// Reads `sso_session` and the keys that came before it, over the CLI's own cache of tokens. A token
/// of a session is renewed by its refresh token and written back, as the CLI does it.
struct SingleSignOn {
  private static let timeout: Duration = .seconds(5)
  private static let attempts = 3

  private let context: CredentialContext
  private let settings: ProfileSettings
  private let profileName: String
  private let startURL: String
  private let region: String
  private let accountID: String
  private let roleName: String

  /// Nil: a profile with the older keys, whose tokens cannot be renewed.
  private let session: String?

  /// Takes a profile's settings; nil where it has none of these.
  ///
  /// - Throws: `StoreError.credentials` where some are missing.
  init?(_ context: CredentialContext, settings: ProfileSettings) throws(StoreError) {
    guard settings["sso_role_name"] != nil || settings["sso_account_id"] != nil else { return nil }
    let name = "the profile '\(PrintableName.text(settings.profileName.utf8))'"
    session = settings["sso_session"]
    var shared: [String: String] = [:]
    if let session {
      guard let found = settings.ssoSession(session) else {
        throw .credentials(
          "\(name) has sso_session '\(PrintableName.text(session.utf8))', and there is no such "
            + "[sso-session] section"
        )
      }
      shared = found
    }
    func setting(_ key: String) throws(StoreError) -> String {
      let (own, common) = (settings[key], shared.filled(key))
      if let own, let common, own != common {
        throw .credentials("\(name) has another \(key) than its [sso-session] section; keep one")
      }
      guard let value = own ?? common else { throw .credentials("\(name) has no \(key); add it") }
      return value
    }
    startURL = try setting("sso_start_url")
    region = try setting("sso_region")
    accountID = try setting("sso_account_id")
    roleName = try setting("sso_role_name")
    self.context = context
    self.settings = settings
    profileName = settings.profileName
  }

  /// Asks for credentials of the role; blocks.
  func credentials() throws(StoreError) -> Credentials {
    let cache = SSOTokenCache(
      name: session ?? startURL,
      environment: context.environment
    )
    guard var token = cache.read() else { throw logIn("there is no token of it") }
    let now = context.clock.now.seconds
    if session != nil, token.expiry.seconds - now < SSOToken.renewalSeconds,
      let newer = try renewed(token)
    {
      token = newer
      cache.write(newer, startURL: startURL, region: region)
    }
    guard token.expiry.seconds > now else { throw logIn("its token has ended") }
    return try roleCredentials(token)
  }

  // MARK: - Requests

  private struct RoleReply: Decodable {
    let roleCredentials: Role

    struct Role: Decodable {
      let accessKeyId: String
      let secretAccessKey: String
      let sessionToken: String

      /// In milliseconds.
      let expiration: Int64
    }
  }

  /// GetRoleCredentials.
  private func roleCredentials(_ token: SSOToken) throws(StoreError) -> Credentials {
    let server = try AWSService.sso.server(region: region, context.environment, settings)
    let query = [("role_name", roleName), ("account_id", accountID)]
      .map { "\($0.0)=\(PercentEncoding.encoded($0.1.utf8, keepingSlash: false))" }
      .joined(separator: "&")
    let reply = try send(
      server,
      CredentialRequest(
        url: url(server, "/federation/credentials?" + query),
        headers: [("x-amz-sso_bearer_token", token.accessToken), ("accept", "application/json")],
        timeout: Self.timeout,
        mayUseProxy: true
      )
    )
    if reply.status == 401 { throw logIn("its token is not accepted any more") }
    guard reply.status == 200 else {
      throw failure("\(server.origin) answers HTTP \(reply.status)\(Self.message(reply))")
    }
    let role: RoleReply.Role
    do {
      role = try JSONDecoder().decode(RoleReply.self, from: Data(reply.body)).roleCredentials
    } catch {
      throw failure("\(server.origin) answers without credentials")
    }
    return Credentials(
      accessKeyID: role.accessKeyId,
      secretAccessKey: Secret(role.secretAccessKey),
      sessionToken: Secret(role.sessionToken),
      expiry: CalendarTime(seconds: role.expiration / 1000),
      source: "the profile '\(PrintableName.text(profileName.utf8))' by SSO"
    )
  }

  private struct TokenReply: Decodable {
    let accessToken: String
    let expiresIn: Int64
    let refreshToken: String?
  }

  /// CreateToken by the refresh token; nil where the token cannot be renewed.
  private func renewed(_ token: SSOToken) throws(StoreError) -> SSOToken? {
    let now = context.clock.now.seconds
    guard let refreshToken = token.refreshToken, let registration = token.registration,
      registration.expiry.seconds > now
    else { return nil }
    let server = try AWSService.ssoOIDC.server(region: region, context.environment, settings)
    let body = [
      "grantType": "refresh_token", "clientId": registration.clientID,
      "clientSecret": registration.clientSecret, "refreshToken": refreshToken,
    ]
    guard let encoded = try? JSONEncoder().encode(body) else { return nil }
    let reply: CredentialReply
    do throws(CredentialRequestFailure) {
      reply = try context.send(
        CredentialRequest(
          method: .post,
          url: url(server, "/token"),
          headers: [("content-type", "application/json")],
          body: Array(encoded),
          timeout: Self.timeout,
          mayUseProxy: true
        ),
        attempts: Self.attempts,
        within: Self.timeout
      )
    } catch {
      context.logger.warning(
        "the SSO token cannot be renewed: \(server.origin): \(error.text)",
        metadata: ["event": "cred.source_failed"]
      )
      return nil
    }
    guard reply.status == 200,
      let found = try? JSONDecoder().decode(TokenReply.self, from: Data(reply.body))
    else {
      context.logger.warning(
        "the SSO token cannot be renewed: \(server.origin) answers HTTP \(reply.status)",
        metadata: ["event": "cred.source_failed"]
      )
      return nil
    }
    var newer = token
    newer.accessToken = found.accessToken
    newer.expiry = CalendarTime(seconds: now + min(max(found.expiresIn, 0), 366 * 86_400))
    newer.refreshToken = found.refreshToken
    return newer
  }

  private func send(
    _ server: ServerAddress,
    _ request: CredentialRequest
  ) throws(StoreError) -> CredentialReply {
    do throws(CredentialRequestFailure) {
      return try context.send(request, attempts: Self.attempts, within: Self.timeout)
    } catch {
      throw failure("\(server.origin) does not answer: \(error.text)")
    }
  }

  private func url(_ server: ServerAddress, _ path: String) -> WebURL {
    guard let url = WebURL(server.origin + server.basePath + path) else {
      preconditionFailure("a server's address makes no URL: \(server)")
    }
    return url
  }

  // MARK: - Words

  private struct ErrorReply: Decodable {
    let message: String?
  }

  private static func message(_ reply: CredentialReply) -> String {
    let found = try? JSONDecoder().decode(ErrorReply.self, from: Data(reply.body))
    return found?.message.map { " (\(PrintableName.text($0.utf8)))" } ?? ""
  }

  private func logIn(_ why: String) -> StoreError {
    failure("\(why); run `aws sso login --profile \(PrintableName.text(profileName.utf8))`")
  }

  private func failure(_ detail: String) -> StoreError {
    .credentials(
      "the SSO login of the profile '\(PrintableName.text(profileName.utf8))': \(detail)"
    )
  }
}
