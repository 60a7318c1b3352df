package import Remote

/// The settings of one profile, out of both files; the credentials file counts first.
package struct ProfileSettings: Sendable {
  package let profileName: String

  /// Whether the user named the profile, by option or environment.
  package let isExplicit: Bool
  private let settings: [String: String]

  /// Reads both files.
  ///
  /// - Throws: `StoreError.credentials` for a malformed file, and for a profile that was named and
  ///   is in neither.
  package init(profile: String?, environment: [String: String]) throws(StoreError) {
    let named = profile ?? environment.filled("AWS_PROFILE")
    let name = named ?? "default"
    let home = environment.filled("HOME") ?? "/"
    let configPath = environment.filled("AWS_CONFIG_FILE") ?? "\(home)/.aws/config"
    let credentialsPath =
      environment.filled("AWS_SHARED_CREDENTIALS_FILE") ?? "\(home)/.aws/credentials"
    let config = try ProfileFile.read(Self.expanded(configPath, home), kind: .config)
    let credentials = try ProfileFile.read(Self.expanded(credentialsPath, home), kind: .credentials)
    let found = [config?.profiles[name], credentials?.profiles[name]].compactMap(\.self)
    guard named == nil || !found.isEmpty else {
      let known = Set([config, credentials].compactMap(\.self).flatMap(\.profiles.keys)).sorted()
      throw .credentials(
        "there is no profile '\(PrintableName.text(name.utf8))' in \(configPath) and "
          + "\(credentialsPath)"
          + (known.isEmpty ? "" : "; there are: \(known.prefix(20).joined(separator: ", "))")
      )
    }
    profileName = name
    isExplicit = named != nil
    settings = found.reduce(into: [:]) { all, one in all.merge(one) { _, later in later } }
  }

  /// A setting that is there and not empty, for example `region` or `s3.addressing_style`.
  package subscript(name: String) -> String? { settings.filled(name) }

  private static func expanded(_ path: String, _ home: String) -> String {
    path.hasPrefix("~/") ? home + path.dropFirst() : path
  }
}
