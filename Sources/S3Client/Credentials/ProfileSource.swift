package import Remote

/// A profile of the shared config and credentials files, which are read anew each time.
package struct ProfileSource: CredentialSource {
  private let profile: String?
  private let environment: [String: String]

  package init(profile: String?, environment: [String: String]) {
    self.profile = profile
    self.environment = environment
  }

  package var name: String {
    let named = profile ?? environment.filled("AWS_PROFILE") ?? "default"
    return "the profile '\(PrintableName.text(named.utf8))'"
  }

  package func credentials() throws(StoreError) -> Credentials? {
    let settings = try ProfileSettings(profile: profile, environment: environment)
    guard let identifier = settings["aws_access_key_id"] else {
      guard settings.isExplicit else { return nil }
      throw .credentials(
        "\(name) has no aws_access_key_id; add its keys to the shared credentials file"
      )
    }
    guard let secret = settings["aws_secret_access_key"] else {
      throw .credentials("\(name) has aws_access_key_id and no aws_secret_access_key; add it")
    }
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: settings["aws_session_token"].map { Secret($0) },
      source: name
    )
  }
}
