import Remote
import S3Client
import TestSupport

/// Config files of a test's own, and a world of services around them.
struct ProfileFixture {
  let files: TemporaryDirectory
  let services: FakeServices

  init(
    config: String = "",
    credentials: String = "",
    _ answer: @escaping CredentialTransport = { (_) throws(CredentialRequestFailure) in
      throw .notReached("no network in a test")
    }
  ) throws {
    files = try TemporaryDirectory()
    services = FakeServices(answer)
    try files.write(config.utf8, to: "config")
    try files.write(credentials.utf8, to: "credentials")
  }

  func context(
    _ profile: String? = nil,
    _ environment: [String: String] = [:]
  ) -> CredentialContext {
    let variables = [
      "AWS_CONFIG_FILE": files.path + "/config", "HOME": files.path,
      "AWS_SHARED_CREDENTIALS_FILE": files.path + "/credentials", "PATH": "/usr/bin:/bin",
    ]
    var context = services.context(variables.merging(environment) { _, new in new })
    context.profile = profile
    return context
  }

  func credentials(
    _ profile: String? = nil,
    _ environment: [String: String] = [:]
  ) throws(StoreError) -> Credentials? {
    try ProfileSource(context(profile, environment)).credentials()
  }

  func failure(_ profile: String? = nil, _ environment: [String: String] = [:]) -> String {
    do throws(StoreError) {
      return "credentials of \(try credentials(profile, environment)?.accessKeyID ?? "nobody")"
    } catch {
      return "\(error)"
    }
  }
}
