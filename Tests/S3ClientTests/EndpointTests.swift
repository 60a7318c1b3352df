import Remote
import S3Client
import TestSupport
import Testing

/// Which of AWS's hosts are asked, by what a profile says: botocore and we, over one table.
@Suite(.enabled(if: BotocoreOracle.isAvailable), .timeLimit(.minutes(10)))
struct EndpointTests {
  private struct Case: Encodable {
    let service: String
    let region: String
    let isFIPS: Bool
    let isDualStack: Bool
    var bucket = ""
  }

  /// One of each part of AWS; botocore knows no hosts with IPv6 of those apart from the internet, and
  /// none with FIPS in China.
  private static let cases = [
    "eu-west-3", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1",
    "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1",
  ].flatMap { region in
    let isApart = region.contains("-iso")
    return [(false, false), (true, false), (false, true), (true, true)]
      .filter { isFIPS, isDualStack in
        !(isFIPS && region.hasPrefix("cn-")) && !(isDualStack && isApart)
      }
      .flatMap { isFIPS, isDualStack in
        let point = "arn:aws:s3:\(region):123456789012:accesspoint:mine"
        return [
          ("s3", "b-1"), ("s3", "b.1"), ("s3", point), ("sts", ""), ("sso", ""), ("sso-oidc", ""),
        ]
        .map { service, bucket in
          Case(
            service: service,
            region: region,
            isFIPS: isFIPS,
            isDualStack: isDualStack,
            bucket: bucket
          )
        }
      }
  }

  private func config(of one: Case) -> String {
    let variant =
      "region = \(one.region)\nuse_fips_endpoint = \(one.isFIPS)\n"
      + "use_dualstack_endpoint = \(one.isDualStack)\n"
    let keys = "aws_access_key_id = k\naws_secret_access_key = s\n"
    return switch one.service {
    case "s3": "[profile x]\n" + variant + keys
    case "sts": "[profile x]\n" + variant + "role_arn = R\nsource_profile = y\n[profile y]\n" + keys
    default:
      "[profile x]\n" + variant + "sso_session = corp\nsso_account_id = 1\nsso_role_name = r\n"
        + "[sso-session corp]\nsso_region = \(one.region)\nsso_start_url = https://corp\n"
    }
  }

  /// The host that we ask first.
  private func host(_ one: Case) throws -> String? {
    let fixture = try ProfileFixture(config: config(of: one)) { _ in CredentialReply(403, "") }
    if one.service == "s3" {
      let variables = fixture.context().environment
      return try BucketAddressTests.host(of: one.bucket, ["AWS_REGION": ""]) { options in
        options.environment.merge(variables) { $1 }
        options.profile = "x"
      }
    }
    // One that must be renewed, or one that will do.
    let end = one.service == "sso-oidc" ? "2026-01-01T00:00:00Z" : "2027-06-01T00:00:00Z"
    let token = """
      {"accessToken": "t", "expiresAt": "\(end)", "refreshToken": "r", "clientId": "c", \
      "clientSecret": "s", "registrationExpiresAt": "2027-06-01T00:00:00Z"}
      """
    try fixture.files.write(token.utf8, to: SSOTokenPath.name(of: "corp"))
    #expect(throws: StoreError.self) { try fixture.credentials("x") }
    return fixture.services.requests.first?.url.server.authority
  }

  @Test(
    "hosts of S3, STS and SSO follow region, FIPS and dual-stack of the profile as botocore's do"
  )
  func table() throws {
    let answers = try BotocoreOracle.answers(
      "endpoints.py",
      to: Self.cases,
      in: try TemporaryDirectory()
    )
    for (one, answer) in zip(Self.cases, answers) {
      let found = try host(one)
      // A proxy is told the port.
      let expected = one.service == "s3" ? answer + ":443" : answer
      #expect(found == expected, "\(one)")
    }
  }
}
