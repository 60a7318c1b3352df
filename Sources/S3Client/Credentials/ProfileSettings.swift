package import Remote

/// The settings of one profile, out of both files; the credentials file counts first.
package struct ProfileSettings: Sendable {
  package let profileName: String

  /// Whether the user named the profile, by option or environment.
  package let isExplicit: Bool
  private let config: ProfileFile?
  private let credentials: ProfileFile?
  private let merged: [String: String]

  /// Reads both files.
  ///
  /// - Throws: `StoreError.credentials` for a malformed file, and for a profile that was named and
  ///   is in neither.
  package init(profile: String?, environment: [String: String]) throws(StoreError) {
    let named = profile ?? Self.named(by: environment)
    let name = named ?? "default"
    let home = environment.homeFolder
    let configPath = environment.filled("AWS_CONFIG_FILE") ?? "\(home)/.aws/config"
    let credentialsPath =
      environment.filled("AWS_SHARED_CREDENTIALS_FILE") ?? "\(home)/.aws/credentials"
    let config = try ProfileFile.read(Self.expanded(configPath, home), kind: .config)
    let credentials = try ProfileFile.read(Self.expanded(credentialsPath, home), kind: .credentials)
    let isKnown = [config, credentials].contains { $0?.profiles[name] != nil }
    guard named == nil || isKnown else {
      let known = Set([config, credentials].compactMap(\.self).flatMap(\.profiles.keys)).sorted()
      throw .credentials(
        "there is no profile '\(PrintableName.text(name.utf8))' in \(configPath) and "
          + "\(credentialsPath)"
          + (known.isEmpty ? "" : "; there are: \(known.prefix(20).joined(separator: ", "))")
      )
    }
    self.init(name, isExplicit: named != nil, config, credentials)
  }

  private init(
    _ name: String,
    isExplicit: Bool,
    _ config: ProfileFile?,
    _ credentials: ProfileFile?
  ) {
    profileName = name
    self.isExplicit = isExplicit
    self.config = config
    self.credentials = credentials
    let found = [config?.profiles[name], credentials?.profiles[name]].compactMap(\.self)
    merged = found.reduce(into: [:]) { all, one in all.merge(one) { _, later in later } }
  }

  /// The profile that the environment names; nil where it names none.
  static func named(by environment: [String: String]) -> String? {
    // As botocore has it: the older name counts first.
    environment.filled("AWS_DEFAULT_PROFILE") ?? environment.filled("AWS_PROFILE")
  }

  /// A setting that is there and not empty, for example `region` or `s3.addressing_style`.
  package subscript(name: String) -> String? { merged.filled(name) }

  /// What one of the files says of the profile.
  func settings(in kind: ProfileFile.Kind) -> [String: String] {
    file(kind)?.profiles[profileName] ?? [:]
  }

  /// The path of a file, where other users may read it.
  func pathReadableByOthers(_ kind: ProfileFile.Kind) -> String? {
    file(kind).flatMap { $0.isReadableByOthers ? $0.path : nil }
  }

  /// Another profile of the same files; nil where there is none.
  func other(_ name: String) -> ProfileSettings? {
    guard config?.profiles[name] != nil || credentials?.profiles[name] != nil else { return nil }
    return ProfileSettings(name, isExplicit: true, config, credentials)
  }

  /// The settings of an `[sso-session]` section; nil where there is none of that name.
  func ssoSession(_ name: String) -> [String: String]? { config?.ssoSessions[name] }

  /// The settings of a service, for example `sts`, in the `[services]` section that the profile
  /// names.
  func service(_ name: String) -> [String: String] {
    guard let section = self["services"], let settings = config?.services[section] else {
      return [:]
    }
    let prefix = name + "."
    return settings.reduce(into: [:]) { found, setting in
      guard setting.key.hasPrefix(prefix), !setting.value.isEmpty else { return }
      found[String(setting.key.dropFirst(prefix.count))] = setting.value
    }
  }

  private func file(_ kind: ProfileFile.Kind) -> ProfileFile? {
    switch kind {
    case .config: config
    case .credentials: credentials
    }
  }

  private static func expanded(_ path: String, _ home: String) -> String {
    path.hasPrefix("~/") ? home + path.dropFirst() : path
  }
}
