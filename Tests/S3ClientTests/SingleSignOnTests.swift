import Remote
import S3Client
import TestSupport
import Testing

/// SSO profiles over a cache as `aws sso login` leaves it; 1,800,000,000 is in January 2027.
@Suite struct SingleSignOnTests {
  private let config = """
    [profile dev]
    sso_session = corp
    sso_account_id = 123456789012
    sso_role_name = My Role
    [profile other]
    sso_session = corp
    sso_account_id = 1
    sso_role_name = r
    sso_region = elsewhere
    [profile lost]
    sso_session = nowhere
    sso_account_id = 1
    sso_role_name = r
    [profile half]
    sso_session = corp
    sso_role_name = r
    [sso-session corp]
    sso_region = eu-central-1
    sso_start_url = https://corp.awsapps.com/start
    sso_registration_scopes = sso:account:access
    [profile old]
    sso_region = us-east-2
    sso_start_url = https://old.awsapps.com/start
    sso_account_id = 1
    sso_role_name = r
    """

  private static func role(_ key: String) -> CredentialReply {
    CredentialReply(
      200,
      #"{"roleCredentials": {"accessKeyId": "\#(key)", "secretAccessKey": "canary-s", "#
        + #""sessionToken": "canary-t", "expiration": 1800003600000}}"#
    )
  }

  /// Gives a role for the token `good` or `newer`, and exchanges the refresh token `refresh`.
  private static let identityCenter: CredentialTransport = {
    (request) throws(CredentialRequestFailure) -> CredentialReply in
    if request.url.path == "/token" {
      let body = String(decoding: request.body, as: UTF8.self)
      return body.contains(#""refreshToken":"refresh""#) && body.contains(#""clientSecret":"cs""#)
        ? CredentialReply(
          200,
          #"{"accessToken": "newer", "expiresIn": 28800, "refreshToken": "refresh2"}"#
        )
        : CredentialReply(400, #"{"error": "invalid_grant"}"#)
    }
    let token = request.header("x-amz-sso_bearer_token") ?? ""
    return ["good", "newer"].contains(token)
      ? role(token) : CredentialReply(401, #"{"message": "Session token not found"}"#)
  }

  private func fixture(
    token: String,
    expiresAt: String,
    more: String = "",
    _ answer: @escaping CredentialTransport = identityCenter
  ) throws -> ProfileFixture {
    let fixture = try ProfileFixture(config: config, answer)
    let text = #"{"accessToken": "\#(token)", "expiresAt": "\#(expiresAt)"\#(more)}"#
    try fixture.files.write(text.utf8, to: SSOTokenPath.name(of: "corp"))
    try fixture.files.write(
      text.utf8,
      to: SSOTokenPath.name(of: "https://old.awsapps.com/start")
    )
    return fixture
  }

  private let renewable =
    #", "refreshToken": "refresh", "clientId": "ci", "clientSecret": "cs", "#
    + #""registrationExpiresAt": "2027-03-01T00:00:00Z""#

  @Test("the CLI's token is exchanged for the role's credentials")
  func session() throws {
    let fixture = try fixture(token: "good", expiresAt: "2027-01-20T00:00:00Z")
    let found = try #require(try fixture.credentials("dev"))
    #expect(found.accessKeyID == "good" && found.expiry?.seconds == 1_800_003_600)
    #expect(found.source == "the profile 'dev' by SSO")
    let request = try #require(fixture.services.requests.first)
    #expect(
      request.url.text == "https://portal.sso.eu-central-1.amazonaws.com/federation/credentials"
        + "?role_name=My%20Role&account_id=123456789012"
    )
    #expect(fixture.services.requests.count == 1)
  }

  @Test("the older keys work over the token of their start URL")
  func legacy() throws {
    let fixture = try fixture(token: "good", expiresAt: "2027-01-20T00:00:00UTC")
    #expect(try fixture.credentials("old")?.accessKeyID == "good")
    #expect(
      fixture.services.requests.first?.url.server.host == "portal.sso.us-east-2.amazonaws.com"
    )
  }

  @Test("a token that ends within a quarter of an hour is renewed, and the CLI's cache with it")
  func renewed() throws {
    for end in ["2027-01-15T08:10:00Z", "2026-01-01T00:00:00Z"] {
      let fixture = try fixture(token: "good", expiresAt: end, more: renewable)
      #expect(try fixture.credentials("dev")?.accessKeyID == "newer")
      #expect(
        fixture.services.requests.first?.url.text
          == "https://oidc.eu-central-1.amazonaws.com/token"
      )
      let file = fixture.files.path + "/" + SSOTokenPath.name(of: "corp")
      let written = try SmallFileText.read(file)
      #expect(written.contains(#""accessToken":"newer""#))
      #expect(written.contains(#""refreshToken":"refresh2""#))
      #expect(written.contains(#""expiresAt":"2027-01-15T16:00:00Z""#))
      #expect(SSOTokenPath.mode(of: file) == 0o600)
      // The renewed one is used, not renewed again.
      _ = try fixture.credentials("dev")
      #expect(fixture.services.requests.count == 3)
    }
  }

  @Test("a token that cannot be renewed is used to its end, then the login is asked for")
  func notRenewed() throws {
    let registration = renewable.dropLast(22) + #""2026-03-01T00:00:00Z""#
    let soon = try fixture(
      token: "good",
      expiresAt: "2027-01-15T08:10:00Z",
      more: String(registration)
    )
    #expect(try soon.credentials("dev")?.accessKeyID == "good")
    let over = try fixture(token: "good", expiresAt: "2027-01-15T07:59:00Z")
    #expect(
      over.failure("dev") == "the SSO login of the profile 'dev': its token has ended; "
        + "run `aws sso login --profile dev`"
    )
    #expect(over.failure("old").hasSuffix("run `aws sso login --profile old`"))
    let refused = try fixture(
      token: "good",
      expiresAt: "2027-01-15T07:59:00Z",
      more: renewable.replacingFirst("refresh\"", with: "canary\"")
    )
    #expect(refused.failure("dev").contains("aws sso login --profile dev"))
    let revoked = try fixture(token: "bad", expiresAt: "2027-01-20T00:00:00Z")
    #expect(revoked.failure("dev").contains("aws sso login --profile dev"))
    let never = try ProfileFixture(config: config)
    #expect(never.failure("dev").contains("aws sso login --profile dev"))
    let broken = try fixture(token: "\"canary", expiresAt: "x")
    #expect(broken.failure("dev").contains("aws sso login --profile dev"))
  }

  @Test("sections that do not fit together are told")
  func wrong() throws {
    let fixture = try fixture(token: "good", expiresAt: "2027-01-20T00:00:00Z")
    #expect(fixture.failure("other").contains("another sso_region"))
    #expect(fixture.failure("lost").contains("no such [sso-session] section"))
    #expect(fixture.failure("half").contains("no sso_account_id"))
    #expect(fixture.services.requests.isEmpty)
  }

  @Test("a service that refuses the role or is ill is told")
  func ill() throws {
    let refused = try fixture(token: "good", expiresAt: "2027-01-20T00:00:00Z") { _ in
      CredentialReply(403, #"{"message": "No access"}"#)
    }
    #expect(refused.failure("dev").contains("HTTP 403 (No access)"))
    let ill = try fixture(token: "good", expiresAt: "2027-01-20T00:00:00Z") { _ in
      CredentialReply(200, "canary")
    }
    #expect(ill.failure("dev").contains("without credentials"))
    let silent = try fixture(token: "good", expiresAt: "2027-01-20T00:00:00Z") {
      (_) throws(CredentialRequestFailure) in throw .notReached("no route")
    }
    #expect(silent.failure("dev").contains("no route"))
  }

  @Test("endpoints of STS, SSO and SSO_OIDC are those of environment, services section or profile")
  func endpoints() throws {
    let services = """
      [profile dev]
      services = mine
      endpoint_url = http://all
      sso_session = corp
      sso_account_id = 1
      sso_role_name = r
      [sso-session corp]
      sso_region = r
      sso_start_url = https://corp
      [services mine]
      sso =
        endpoint_url = http://sso:1/base
      sts =
        endpoint_url = http://sts:2
      [profile role]
      role_arn = R
      source_profile = keys
      services = mine
      [profile keys]
      aws_access_key_id = k
      aws_secret_access_key = s
      """
    let fixture = try fixture(
      token: "good",
      expiresAt: "2026-01-20T00:00:00Z",
      more: renewable
    ) { (request) throws(CredentialRequestFailure) in
      request.form["RoleArn"] == nil ? try Self.identityCenter(request) : .role("r")
    }
    try fixture.files.write(services.utf8, to: "config")
    func asked(_ profile: String, _ variables: [String: String] = [:]) throws -> [String] {
      try fixture.files.write(
        #"{"accessToken":"good","expiresAt":"2026-01-20T00:00:00Z"\#(renewable)}"#.utf8,
        to: SSOTokenPath.name(of: "corp")
      )
      let before = fixture.services.requests.count
      _ = try fixture.credentials(profile, variables)
      return fixture.services.requests.dropFirst(before).map {
        $0.url.server.origin + $0.url.path
      }
    }
    #expect(try asked("dev") == ["http://all/token", "http://sso:1/base/federation/credentials"])
    #expect(try asked("role") == ["http://sts:2/"])
    let all = ["AWS_ENDPOINT_URL": "http://env"]
    #expect(try asked("dev", all) == ["http://env/token", "http://env/federation/credentials"])
    let each = [
      "AWS_ENDPOINT_URL_SSO_OIDC": "http://o", "AWS_ENDPOINT_URL_SSO": "http://s",
      "AWS_ENDPOINT_URL": "http://env", "AWS_ENDPOINT_URL_STS": "http://t:9",
    ]
    #expect(try asked("dev", each) == ["http://o/token", "http://s/federation/credentials"])
    #expect(try asked("role", each) == ["http://t:9/"])
    let ignored = each.merging(["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"]) { $1 }
    #expect(try asked("role", ignored) == ["https://sts.amazonaws.com/"])
  }
}
