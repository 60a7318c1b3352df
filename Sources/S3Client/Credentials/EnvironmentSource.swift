import Glibc
package import Remote

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_CREDENTIAL_EXPIRATION`.
package struct EnvironmentSource: CredentialSource {
  package let name = "the environment"
  private let environment: [String: String]

  package init(_ environment: [String: String]) {
    self.environment = environment
  }

  package func credentials() throws(StoreError) -> Credentials? {
    guard let identifier = environment.filled("AWS_ACCESS_KEY_ID") else { return nil }
    guard let secret = environment.filled("AWS_SECRET_ACCESS_KEY") else {
      throw .credentials("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not; set both")
    }
    let token = environment.filled("AWS_SESSION_TOKEN") ?? environment.filled("AWS_SECURITY_TOKEN")
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: token.map { Secret($0) },
      expiry: environment.filled("AWS_CREDENTIAL_EXPIRATION").flatMap { CalendarTime(iso8601: $0) },
      source: name
    )
  }
}

extension [String: String] {
  /// A variable that is set and not empty.
  func filled(_ name: String) -> String? {
    self[name].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// `HOME`; where it is not set, as in what systemd starts, the home of the user that we are.
  var homeFolder: String {
    if let home = filled("HOME") { return home }
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 * 1024)
    guard getpwuid_r(getuid(), &entry, &buffer, buffer.count, &found) == 0, found != nil,
      let folder = entry.pw_dir
    else { return "/" }
    return String(cString: folder)
  }
}
