import Remote
import S3Client
import TestSupport
import Testing

/// Profiles with a role: AssumeRole and AssumeRoleWithWebIdentity.
@Suite struct RoleTests {
  /// Tells by the key who asked for which role.
  private static let sts: CredentialTransport = {
    (request) throws(CredentialRequestFailure) -> CredentialReply in
    let arn = request.form["RoleArn"] ?? "?"
    return .role("\(arn)<\(request.signer ?? "nobody")".replacing("<", with: "&lt;"))
  }

  private let base = "[base]\naws_access_key_id=BASE\naws_secret_access_key=canary-base\n"

  @Test("a role is assumed by the keys of its source, with all that its profile says")
  func assumed() throws {
    let fixture = try ProfileFixture(
      config: """
        [profile x]
        role_arn = arn:aws:iam::1:role/r
        source_profile = base
        external_id = an id+&=
        role_session_name = me
        duration_seconds = 900
        region = eu-west-1
        """,
      credentials: base,
      Self.sts
    )
    let found = try #require(try fixture.credentials("x"))
    #expect(found.accessKeyID == "arn:aws:iam::1:role/r<BASE")
    #expect(found.expiry == CalendarTime(iso8601: "2030-01-01T00:00:00Z"))
    #expect(found.source == "the role arn:aws:iam::1:role/r of the profile 'x'")
    let request = try #require(fixture.services.requests.first)
    #expect(request.url.text == "https://sts.eu-west-1.amazonaws.com/")
    #expect(
      request.form == [
        "Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": "arn:aws:iam::1:role/r",
        "ExternalId": "an id+&=", "RoleSessionName": "me", "DurationSeconds": "900",
      ]
    )
    let authorization = request.header("authorization") ?? ""
    #expect(authorization.contains("/eu-west-1/sts/aws4_request,"))
    #expect(authorization.contains("SignedHeaders=content-type;host;"))
    #expect(request.mayUseProxy)
  }

  @Test("what is not said is left out, the session named after the time, the region the first one")
  func defaults() throws {
    let fixture = try ProfileFixture(
      config: "[default]\nrole_arn=r\nsource_profile=base\nduration_seconds=soon",
      credentials: base,
      Self.sts
    )
    _ = try fixture.credentials()
    let request = try #require(fixture.services.requests.first)
    #expect(request.url.text == "https://sts.amazonaws.com/")
    #expect(request.header("authorization")?.contains("/us-east-1/sts/") ?? false)
    #expect(request.form["RoleSessionName"] == "wdsfs-1800000000")
    #expect(request.form["DurationSeconds"] == nil && request.form["ExternalId"] == nil)
  }

  @Test("chains of roles are followed, and those that lead back are refused")
  func chains() throws {
    let fixture = try ProfileFixture(
      config: """
        [profile a]
        role_arn = A
        source_profile = b
        [profile b]
        role_arn = B
        source_profile = base
        [profile loop]
        role_arn = L
        source_profile = pool
        [profile pool]
        role_arn = P
        source_profile = loop
        [profile self]
        role_arn = S
        source_profile = self
        aws_access_key_id = SELF
        aws_secret_access_key = s
        [profile nothing]
        role_arn = N
        source_profile = empty
        [profile empty]
        region = x
        [profile itself]
        role_arn = I
        source_profile = itself
        """,
      credentials: base,
      Self.sts
    )
    #expect(try fixture.credentials("a")?.accessKeyID == "A<B<BASE")
    #expect(try fixture.credentials("self")?.accessKeyID == "S<SELF")
    #expect(fixture.failure("loop").contains("leads back to the profile 'loop'"))
    #expect(fixture.failure("itself").contains("leads back to the profile 'itself'"))
    #expect(fixture.failure("nothing").contains("'empty', the source_profile"))
  }

  @Test("a role's source may be environment, container or instance")
  func namedSources() throws {
    let fixture = try ProfileFixture(
      config: """
        [profile env]
        role_arn = E
        credential_source = Environment
        [profile ecs]
        role_arn = C
        credential_source = EcsContainer
        [profile ec2]
        role_arn = I
        credential_source = Ec2InstanceMetadata
        [profile odd]
        role_arn = O
        credential_source = Moon
        [profile both]
        role_arn = O
        credential_source = Environment
        source_profile = env
        [profile none]
        role_arn = O
        """
    ) { (request) throws(CredentialRequestFailure) in
      switch (request.url.server.host, request.url.path) {
      case ("169.254.170.2", _): return .session("TASK")
      case ("169.254.169.254", "/latest/api/token"): return CredentialReply(200, "t")
      case ("169.254.169.254", "/latest/meta-data/iam/security-credentials/"):
        return CredentialReply(200, "r")
      case ("169.254.169.254", _): return .session("INSTANCE")
      default: return try Self.sts(request)
      }
    }
    let keys = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"]
    #expect(try fixture.credentials("env", keys)?.accessKeyID == "E<ENV")
    let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"]
    #expect(try fixture.credentials("ecs", container)?.accessKeyID == "C<TASK")
    #expect(try fixture.credentials("ec2")?.accessKeyID == "I<INSTANCE")
    #expect(fixture.failure("env").contains("the environment, has no credentials"))
    #expect(fixture.failure("odd").contains("unknown credential_source 'Moon'"))
    #expect(fixture.failure("both").contains("both source_profile and credential_source"))
    #expect(fixture.failure("none").contains("nobody to assume it"))
  }

  @Test("a role that wants a device's code, and a source that is not there, are told")
  func impossible() throws {
    let fixture = try ProfileFixture(
      config: """
        [profile mfa]
        role_arn = A
        source_profile = base
        mfa_serial = arn:aws:iam::1:mfa/me
        [profile gone]
        role_arn = A
        source_profile = nobody
        """,
      credentials: base
    )
    #expect(fixture.failure("mfa").contains("`aws sts get-caller-identity --profile mfa`"))
    #expect(fixture.failure("gone").contains("'nobody', which is not there"))
    #expect(fixture.services.requests.isEmpty)
  }

  @Test("a session that the CLI has opened with a device's code is taken while it lasts")
  func openedByCLI() throws {
    let fixture = try ProfileFixture(
      config: """
        [profile mfa]
        role_arn = arn:aws:iam::1:role/r
        source_profile = base
        mfa_serial = arn:aws:iam::1:mfa/me
        [profile all]
        role_arn = arn:aws:iam::1:role/r
        source_profile = base
        mfa_serial = arn:aws:iam::1:mfa/me
        duration_seconds = 900
        external_id = ä "q" \\
        role_session_name = me
        [profile next]
        role_arn = arn:aws:iam::2:role/next
        source_profile = mfa
        """,
      credentials: base,
      Self.sts
    )
    func keep(_ name: String, until end: String) throws {
      let text = """
        {"Credentials": {"AccessKeyId": "KEPT", "SecretAccessKey": "canary", \
        "SessionToken": "canary", "Expiration": "\(end)"}}
        """
      try fixture.files.write(text.utf8, to: ".aws/cli/cache/\(name).json")
    }
    // The names are those that botocore's AssumeRoleCredentialFetcher gives them.
    try keep("8838f846109e6208bad5113255f28e881c8069c8", until: "2027-01-15T08:10:00+00:00")
    let found = try #require(try fixture.credentials("mfa"))
    #expect(found.accessKeyID == "KEPT" && found.expiry?.seconds == 1_800_000_600)
    #expect(found.source.hasSuffix("of the profile 'mfa' in the AWS CLI's cache"))
    #expect(fixture.services.requests.isEmpty)
    #expect(try fixture.credentials("next")?.accessKeyID == "arn:aws:iam::2:role/next<KEPT")
    #expect(fixture.failure("all").contains("--profile all`"))
    try keep("045ff42f8a0a18d76a86dfc34eb29c64a276ce00", until: "2027-01-15T08:10:00UTC")
    #expect(try fixture.credentials("all")?.accessKeyID == "KEPT")
    try keep("8838f846109e6208bad5113255f28e881c8069c8", until: "2027-01-15T07:59:00Z")
    #expect(fixture.failure("mfa").contains("--profile mfa`"))
  }

  @Test("STS that refuses, is ill or silent is told with its words (S29)")
  func refused() throws {
    func failure(_ reply: CredentialReply?) throws -> (text: String, requests: Int) {
      let fixture = try ProfileFixture(
        config: "[default]\nrole_arn=R\nsource_profile=base\nregion=r",
        credentials: base
      ) { (_) throws(CredentialRequestFailure) in
        guard let reply else { throw .noReply("it stalled") }
        return reply
      }
      return (fixture.failure(), fixture.services.requests.count)
    }
    let denied = try failure(
      CredentialReply(
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you"
          + "</Message></Error><RequestId>x</RequestId></ErrorResponse>"
      )
    )
    #expect(
      denied.text == "cannot assume the role R of the profile 'default': "
        + "https://sts.r.amazonaws.com: AccessDenied (not you)"
    )
    #expect(denied.requests == 1)
    let ill = try failure(CredentialReply(503, "canary"))
    #expect(ill.text.contains("HTTP 503") && ill.requests == 3)
    #expect(try failure(nil).text.contains("it stalled"))
    #expect(try failure(CredentialReply(200, "<a/>")).text.contains("without credentials"))
    #expect(try failure(CredentialReply(200, "canary")).text.contains("without credentials"))
  }

  @Test("a token of any length is taken")
  func longToken() throws {
    let token = String(repeating: "t", count: 20_000)
    let reply =
      "<r><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>\(token)"
      + "</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></r>"
    let fixture = try ProfileFixture(
      config: "[default]\nrole_arn=R\nsource_profile=base",
      credentials: base
    ) { _ in CredentialReply(200, reply) }
    #expect(try fixture.credentials()?.accessKeyID == "a")
  }

  @Test("a web identity's token is exchanged unsigned, named by environment or profile")
  func webIdentity() throws {
    let fixture = try ProfileFixture { (request) throws(CredentialRequestFailure) in
      let token = request.form["WebIdentityToken"].map { "!" + $0 } ?? ""
      let key = "\(request.form["RoleArn"] ?? "")\(token)<\(request.signer ?? "-")"
      return .role(key.replacing("<", with: "&lt;"))
    }
    let path = fixture.files.path + "/token"
    try fixture.files.write("pod.token\n".utf8, to: "token")
    let config = """
      [profile web]
      role_arn = W
      web_identity_token_file = \(path)
      role_session_name = me
      [profile fromweb]
      role_arn = F
      source_profile = web
      """
    try fixture.files.write(config.utf8, to: "config")
    let variables = [
      "AWS_WEB_IDENTITY_TOKEN_FILE": path, "AWS_ROLE_ARN": "ENV", "AWS_ROLE_SESSION_NAME": "pod",
    ]
    #expect(try fixture.credentials(nil, variables)?.accessKeyID == "ENV!pod.token<-")
    #expect(fixture.services.requests.last?.form["RoleSessionName"] == "pod")
    #expect(fixture.services.requests.last?.form["Action"] == "AssumeRoleWithWebIdentity")
    #expect(try fixture.credentials("web", variables)?.accessKeyID == "W!pod.token<-")
    #expect(fixture.services.requests.last?.form["RoleSessionName"] == "me")
    #expect(try fixture.credentials("fromweb")?.accessKeyID == "F<W!pod.token<-")
    let lacking = ["AWS_WEB_IDENTITY_TOKEN_FILE": path]
    #expect(fixture.failure(nil, lacking).contains("no role"))
    let gone = ["AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent", "AWS_ROLE_ARN": "ENV"]
    #expect(fixture.failure(nil, gone).contains("/nonexistent is not there"))
  }
}

extension String {
  fileprivate func replacing(_ one: Character, with other: String) -> String {
    split(separator: one, omittingEmptySubsequences: false).joined(separator: other)
  }
}
