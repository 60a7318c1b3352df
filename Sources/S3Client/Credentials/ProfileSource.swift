import Logging
package import Remote
import Synchronization

/// A profile of the shared config and credentials files, which are read anew each time.
///
/// Which of its settings count, and in which order, is botocore's: a role with a source, a web
/// identity, SSO, keys in the credentials file, `credential_process`, keys in the config file.
package final class ProfileSource: CredentialSource {
  private let context: CredentialContext
  private let hasWarned = Mutex(false)

  package init(_ context: CredentialContext) {
    self.context = context
  }

  package var name: String {
    let named = context.profile ?? ProfileSettings.named(by: context.environment) ?? "default"
    return Self.name(named)
  }

  private static func name(_ profile: String) -> String {
    "the profile '\(PrintableName.text(profile.utf8))'"
  }

  package func credentials() throws(StoreError) -> Credentials? {
    let settings = try ProfileSettings(profile: context.profile, environment: context.environment)
    if Self.isRole(settings) {
      return try assumedRole(of: settings, askedBy: settings, visited: [settings.profileName])
    }
    return try own(settings, askedBy: settings, isTop: true)
  }

  private static func isRole(_ settings: ProfileSettings) -> Bool {
    settings["role_arn"] != nil && settings["web_identity_token_file"] == nil
  }

  /// What a profile gives by itself, without another one's help.
  ///
  /// - Parameters:
  ///   - settings: The profile.
  ///   - top: The profile that the user named; its region and endpoints count.
  ///   - isTop: Whether both are one, so that the environment has a say.
  /// - Returns: Nil where it has no such settings.
  /// - Throws: `StoreError.credentials` where it has some and they fail.
  private func own(
    _ settings: ProfileSettings,
    askedBy top: ProfileSettings,
    isTop: Bool
  ) throws(StoreError) -> Credentials? {
    let environment = isTop && context.profile == nil ? context.environment : [:]
    if let found = try webIdentity(settings, environment, askedBy: top) { return found }
    if let found = try SingleSignOn(context, settings: settings)?.credentials() { return found }
    if let found = try keys(of: settings, in: .credentials) { return found }
    if let command = settings["credential_process"] {
      let process = CredentialProcess(
        command: command,
        profileName: Self.name(settings.profileName)
      )
      return try process.credentials(context.environment)
    }
    if let found = try keys(of: settings, in: .config) { return found }
    if settings["login_session"] != nil {
      throw .credentials(
        "\(Self.name(settings.profileName)) is one of `aws login`, which only the AWS CLI can use; "
          + "add 'credential_process = aws configure export-credentials --profile "
          + "\(PrintableName.text(settings.profileName.utf8)) --format process' to another profile"
      )
    }
    return nil
  }

  // MARK: - Keys

  private func keys(
    of settings: ProfileSettings,
    in kind: ProfileFile.Kind
  ) throws(StoreError) -> Credentials? {
    let name = Self.name(settings.profileName)
    let found = settings.settings(in: kind)
    guard let identifier = found.filled("aws_access_key_id") else { return nil }
    guard let secret = found.filled("aws_secret_access_key") else {
      throw .credentials("\(name) has aws_access_key_id and no aws_secret_access_key; add it")
    }
    warnOfReaders(settings, kind)
    let token = found.filled("aws_session_token") ?? found.filled("aws_security_token")
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: token.map { Secret($0) },
      source: name
    )
  }

  /// docs/reliability.md, X8; once.
  private func warnOfReaders(_ settings: ProfileSettings, _ kind: ProfileFile.Kind) {
    guard let path = settings.pathReadableByOthers(kind) else { return }
    let isFirst = hasWarned.withLock { hasWarned in
      defer { hasWarned = true }
      return !hasWarned
    }
    guard isFirst else { return }
    context.logger.warning(
      "\(PrintableName.text(path.utf8)) holds keys and can be read by other users; chmod 600 it",
      metadata: ["event": "cred.file_mode"]
    )
  }

  // MARK: - Roles

  private func webIdentity(
    _ settings: ProfileSettings,
    _ environment: [String: String],
    askedBy top: ProfileSettings
  ) throws(StoreError) -> Credentials? {
    let fromEnvironment = environment.filled("AWS_WEB_IDENTITY_TOKEN_FILE")
    guard let path = fromEnvironment ?? settings["web_identity_token_file"] else { return nil }
    let origin = fromEnvironment == nil ? Self.name(settings.profileName) : "the environment"
    guard let arn = environment.filled("AWS_ROLE_ARN") ?? settings["role_arn"] else {
      throw .credentials(
        "\(origin) names a file with the token of a web identity and no role; set role_arn, or "
          + "AWS_ROLE_ARN"
      )
    }
    let role = SecurityTokenService.Role(
      arn: arn,
      sessionName: environment.filled("AWS_ROLE_SESSION_NAME") ?? settings["role_session_name"],
      name: "the role \(PrintableName.text(arn.utf8)) of \(origin) by web identity"
    )
    let token = try SmallFile.token("the token file", at: path)
    return try SecurityTokenService(context, profile: top)
      .credentials(of: role, webIdentityToken: token)
  }

  private func assumedRole(
    of settings: ProfileSettings,
    askedBy top: ProfileSettings,
    visited: [String]
  ) throws(StoreError) -> Credentials {
    let name = Self.name(settings.profileName)
    let arn = settings["role_arn"] ?? ""
    let role = SecurityTokenService.Role(
      arn: arn,
      sessionName: settings["role_session_name"],
      externalID: settings["external_id"],
      durationSeconds: settings["duration_seconds"].flatMap { Int($0) },
      name: "the role \(PrintableName.text(arn.utf8)) of \(name)"
    )
    if let device = settings["mfa_serial"] {
      return try openedByCLI(role, device, profileName: settings.profileName)
    }
    let signer: Credentials
    switch (settings["source_profile"], settings["credential_source"]) {
    case (.some, .some):
      throw .credentials("\(name) has both source_profile and credential_source; keep one")
    case (nil, nil):
      throw .credentials(
        "\(name) has a role_arn and nobody to assume it; add source_profile or credential_source"
      )
    case (let source?, nil):
      signer = try sourceProfile(source, of: settings, askedBy: top, visited: visited)
    case (nil, let source?):
      signer = try credentialSource(source, of: name)
    }
    return try SecurityTokenService(context, profile: top).credentials(of: role, signedBy: signer)
  }

  /// A role that wants the code of a device: nobody can be asked for it here, but by the CLI.
  private func openedByCLI(
    _ role: SecurityTokenService.Role,
    _ device: String,
    profileName: String
  ) throws(StoreError) -> Credentials {
    let cache = RoleSessionCache(context.environment)
    if let found = cache.credentials(of: role, deviceSerial: device, at: context.clock.now) {
      return found
    }
    let shown = PrintableName.text(profileName.utf8)
    throw .credentials(
      "\(role.name) wants a code of the device in mfa_serial; run `aws sts get-caller-identity "
        + "--profile \(shown)`, which asks for it and keeps the session for wdsfs too"
    )
  }

  private func sourceProfile(
    _ source: String,
    of settings: ProfileSettings,
    askedBy top: ProfileSettings,
    visited: [String]
  ) throws(StoreError) -> Credentials {
    let name = Self.name(settings.profileName)
    guard let next = settings.other(source) else {
      throw .credentials("\(name) has source_profile \(Self.name(source)), which is not there")
    }
    let hasKeys = next["aws_access_key_id"] != nil || next["aws_secret_access_key"] != nil
    if visited.contains(source), source != settings.profileName || !hasKeys {
      throw .credentials("\(name): its source_profile leads back to \(Self.name(source))")
    }
    if Self.isRole(next), !hasKeys {
      return try assumedRole(of: next, askedBy: top, visited: visited + [source])
    }
    guard let found = try own(next, askedBy: top, isTop: false) else {
      throw .credentials("\(Self.name(source)), the source_profile of \(name), has no credentials")
    }
    return found
  }

  private func credentialSource(
    _ source: String,
    of name: String
  ) throws(StoreError) -> Credentials {
    let asked: any CredentialSource
    switch source.lowercased() {
    case "environment": asked = EnvironmentSource(context.environment)
    case "ecscontainer": asked = ContainerSource(context)
    case "ec2instancemetadata": asked = InstanceSource(context)
    default:
      throw .credentials(
        "\(name) has an unknown credential_source '\(PrintableName.text(source.utf8))'; there are "
          + "Environment, EcsContainer and Ec2InstanceMetadata"
      )
    }
    guard let found = try asked.credentials() else {
      throw .credentials("the credential_source of \(name), \(asked.name), has no credentials")
    }
    return found
  }
}
