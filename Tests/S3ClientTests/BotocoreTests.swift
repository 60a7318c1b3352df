import FoundationEssentials
import Glibc
import Remote
import S3Client
import TestSupport
import Testing

/// One table of config files, resolved by botocore and by us.
@Suite(.enabled(if: BotocoreOracle.isAvailable), .timeLimit(.minutes(10)))
struct BotocoreTests {
  private struct Case: Encodable {
    var config = ""
    var credentials = ""
    var environment: [String: String] = [:]
    var profile: String?
  }

  private static let envKeys = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"]
  private static let base = "[base]\naws_access_key_id=BASE\naws_secret_access_key=s\n"
  private static let process = """
    credential_process = sh -c "echo '{\\"Version\\":1,\\"AccessKeyId\\":\\"PROC\\",\
    \\"SecretAccessKey\\":\\"s\\"}'"

    """
  private static let web = [
    "AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": "WEB",
  ]

  private static func keys(_ name: String) -> String {
    "aws_access_key_id=\(name)\naws_secret_access_key=s\n"
  }

  private static let cases: [Case] = [
    Case(),
    Case(environment: envKeys),
    Case(credentials: "[default]\n" + keys("D"), environment: envKeys),
    Case(credentials: "[default]\n" + keys("D")),
    Case(config: "[default]\n" + keys("C"), credentials: "[default]\n" + keys("D")),
    Case(config: "[default]\n" + keys("C")),
    Case(config: "[profile default]\n" + keys("C")),
    Case(config: "[profile x]\n" + keys("X"), profile: "x"),
    Case(config: "[profile x]\n" + keys("X"), environment: envKeys, profile: "x"),
    Case(
      config: "[profile x]\n" + keys("X"),
      environment: envKeys.merging(["AWS_PROFILE": "x"]) { $1 }
    ),
    Case(config: "[profile x]\n" + keys("X"), environment: ["AWS_PROFILE": "x"]),
    Case(config: "[profile x]\n" + keys("X"), environment: ["AWS_PROFILE": "y"], profile: "x"),
    Case(config: "[profile x]\n" + keys("X"), environment: ["AWS_DEFAULT_PROFILE": "x"]),
    Case(
      config: "[profile x]\n" + keys("X"),
      environment: ["AWS_DEFAULT_PROFILE": "x", "AWS_PROFILE": "y"]
    ),
    Case(config: "[x]\n" + keys("X"), profile: "x"),
    Case(credentials: "[x]\n" + keys("X"), profile: "x"),
    Case(credentials: "[x]\n" + keys("X"), profile: "y"),
    Case(config: "[profile \"a b\"]\n" + keys("AB"), profile: "a b"),
    Case(config: "[profile\tx]\n" + keys("TAB"), profile: "x"),
    Case(config: "[profile x]\nregion = r\n", profile: "x"),
    Case(credentials: "[default]\naws_access_key_id=HALF\n"),
    Case(environment: ["AWS_ACCESS_KEY_ID": "HALF"]),
    Case(credentials: "[default]\nAWS_ACCESS_KEY_ID = U\n# c\n; d\nAws_Secret_Access_Key: s\n"),
    Case(credentials: "[default]\naws_access_key_id = E=Q\naws_secret_access_key = a=b\n"),
    Case(config: "[default]\n" + process),
    Case(config: "[default]\n" + process, credentials: "[default]\n" + keys("D")),
    Case(config: "[default]\n" + process + keys("C")),
    Case(config: "[default]\ncredential_process = false\n" + keys("C")),
    Case(config: "[default]\ncredential_process = false\n"),
    Case(config: "[default]\ncredential_process = echo hello\n"),
    Case(config: "[profile x]\n" + process, environment: envKeys, profile: "x"),
    Case(config: "[profile r]\nrole_arn=R\nsource_profile=base\n", credentials: base, profile: "r"),
    Case(
      config: """
        [profile r]
        role_arn=R
        source_profile=base
        external_id=x
        duration_seconds=1000
        role_session_name=me
        """,
      credentials: base + "[r]\n" + keys("OWN"),
      profile: "r"
    ),
    Case(
      config: "[profile r]\nrole_arn=R\nsource_profile=q\n[profile q]\nrole_arn=Q\n"
        + "source_profile=base\n",
      credentials: base,
      profile: "r"
    ),
    Case(
      config: "[profile r]\nrole_arn=R\nsource_profile=q\n[profile q]\nrole_arn=Q\n"
        + "source_profile=base\n" + keys("QKEYS"),
      credentials: base,
      profile: "r"
    ),
    Case(
      config: "[profile r]\nrole_arn=R\nsource_profile=q\n[profile q]\nrole_arn=Q\n"
        + "source_profile=r\n",
      profile: "r"
    ),
    Case(config: "[profile r]\nrole_arn=R\nsource_profile=r\n" + keys("SELF"), profile: "r"),
    Case(config: "[profile r]\nrole_arn=R\nsource_profile=r\n", profile: "r"),
    Case(config: "[profile r]\nrole_arn=R\nsource_profile=gone\n", profile: "r"),
    Case(config: "[profile r]\nrole_arn=R\n", environment: envKeys, profile: "r"),
    Case(config: "[default]\nrole_arn=R\nsource_profile=base\n", credentials: base),
    Case(
      config: "[default]\nrole_arn=R\nsource_profile=base\n",
      credentials: base,
      environment: envKeys
    ),
    Case(
      config: "[profile r]\nrole_arn=R\ncredential_source=Environment\n",
      environment: envKeys,
      profile: "r"
    ),
    Case(config: "[profile r]\nrole_arn=R\ncredential_source=Environment\n", profile: "r"),
    Case(config: "[profile r]\nrole_arn=R\ncredential_source=environment\n", profile: "r"),
    Case(config: "[profile r]\nrole_arn=R\ncredential_source=Moon\n", profile: "r"),
    Case(
      config: "[profile r]\nrole_arn=R\ncredential_source=Environment\nsource_profile=base\n",
      credentials: base,
      environment: envKeys,
      profile: "r"
    ),
    Case(
      config: "[profile p]\nrole_arn=R\nsource_profile=q\n[profile q]\n" + process,
      profile: "p"
    ),
    Case(environment: web),
    Case(credentials: "[default]\n" + keys("D"), environment: web),
    Case(
      config: "[default]\nrole_arn=R\nsource_profile=base\n",
      credentials: base,
      environment: web
    ),
    Case(environment: web.merging(envKeys) { $1 }),
    Case(environment: web.merging(["AWS_ROLE_SESSION_NAME": "pod"]) { $1 }),
    Case(environment: ["AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN"]),
    Case(config: "[profile w]\nrole_arn=W\nweb_identity_token_file=TOKEN\n", profile: "w"),
    Case(
      config: "[profile w]\nrole_arn=W\nweb_identity_token_file=TOKEN\n",
      environment: web,
      profile: "w"
    ),
    Case(
      config: "[profile r]\nrole_arn=R\nsource_profile=w\n[profile w]\nrole_arn=W\n"
        + "web_identity_token_file=TOKEN\n",
      environment: web,
      profile: "r"
    ),
    Case(config: "[profile w]\nweb_identity_token_file=TOKEN\n", profile: "w"),
    Case(config: "[profile w]\nrole_arn=W\nweb_identity_token_file=/gone\n", profile: "w"),
    Case(config: "[default]\n" + keys("A") + "[default\n"),
    Case(config: "nonsense\n[default]\n" + keys("A")),
    Case(config: "[default]\nnonsense\n" + keys("A")),
  ]

  /// What botocore's STS stub would make of the request.
  private static let sts: CredentialTransport = {
    (request) throws(CredentialRequestFailure) -> CredentialReply in
    let form = request.form
    let name = form["RoleSessionName"] ?? ""
    let session = name.hasPrefix("wdsfs-") ? "-" : name
    let arn = form["RoleArn"] ?? ""
    if let token = form["WebIdentityToken"] { return .role("\(arn)|\(session)|\(token)") }
    let signer = request.signer?.split(separator: "<", omittingEmptySubsequences: false)
      .joined(separator: "&lt;")
    return .role(
      "\(arn)|\(session)|\(form["ExternalId"] ?? "-")|\(form["DurationSeconds"] ?? "-")"
        + "&lt;\(signer ?? "-")"
    )
  }

  private func ours(_ one: Case, _ token: String) throws -> String {
    func named(_ text: String) -> String { text.replacingFirst("TOKEN", with: token) }
    let fixture = try ProfileFixture(
      config: named(one.config),
      credentials: one.credentials,
      Self.sts
    )
    var variables = one.environment.mapValues { named($0) }
    variables["AWS_EC2_METADATA_DISABLED"] = "true"
    do throws(StoreError) {
      for source in fixture.context(one.profile, variables).sources {
        if let found = try source.credentials() { return found.accessKeyID }
      }
      return "none"
    } catch {
      return "error"
    }
  }

  @Test("every profile of the table gives the credentials that botocore would take")
  func table() throws {
    let files = try TemporaryDirectory()
    try files.write("web".utf8, to: "token")
    let token = files.path + "/token"
    var asked: [Case] = []
    for one in Self.cases {
      var one = one
      one.config = one.config.replacingFirst("TOKEN", with: token)
      one.environment = one.environment.mapValues { $0.replacingFirst("TOKEN", with: token) }
      asked.append(one)
    }
    let answers = try BotocoreOracle.answers("profile_credentials.py", to: asked, in: files)
    for (one, answer) in zip(Self.cases, answers) {
      let found = try ours(one, token)
      #expect(found == answer, "\(one)")
    }
    #expect(Set(answers).count > 15, "the table tells little")
  }
}
