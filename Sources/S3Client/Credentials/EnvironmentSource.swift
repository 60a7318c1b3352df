package import Remote

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
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
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: environment.filled("AWS_SESSION_TOKEN").map { Secret($0) },
      source: name
    )
  }
}

extension [String: String] {
  /// A variable that is set and not empty.
  func filled(_ name: String) -> String? {
    self[name].flatMap { $0.isEmpty ? nil : $0 }
  }
}
