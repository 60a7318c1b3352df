package import Remote

/// `aws_access_key_id` and `aws_secret_access_key` of a profile.
package struct ProfileKeysSource: CredentialSource {
  private let settings: ProfileSettings

  package init(_ settings: ProfileSettings) {
    self.settings = settings
  }

  package var name: String { "the profile '\(settings.profileName)'" }

  package func credentials() throws(StoreError) -> Credentials? {
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
