import FoundationEssentials
package import Remote

/// `credential_process` of a profile: a program that prints credentials as JSON.
///
/// The format is "Sourcing credentials with an external process" of the AWS CLI's user guide.
package struct CredentialProcess {
  /// docs/reliability.md, S29 and X8.
  package static let timeout: Duration = .seconds(60)
  static let maxOutputBytes = 1024 * 1024

  /// The setting, as a shell command line; may hold secrets, so it is never shown.
  let command: String

  /// For messages, for example `the profile 'x'`.
  let profileName: String
  package var timeout = timeout

  /// - Parameters:
  ///   - command: The setting.
  ///   - profileName: For messages.
  package init(command: String, profileName: String) {
    self.command = command
    self.profileName = profileName
  }

  private struct Reply: Decodable {
    let version: Int?
    let accessKeyID: String?
    let secretAccessKey: String?
    let sessionToken: String?
    let expiration: String?

    private enum CodingKeys: String, CodingKey {
      case version = "Version"
      case accessKeyID = "AccessKeyId"
      case secretAccessKey = "SecretAccessKey"
      case sessionToken = "SessionToken"
      case expiration = "Expiration"
    }
  }

  /// Runs the program; blocks.
  ///
  /// - Parameter environment: Ours; the program gets it without what may be secret in it.
  /// - Returns: What it printed.
  /// - Throws: `StoreError.credentials`, without anything that it printed.
  package func credentials(_ environment: [String: String]) throws(StoreError) -> Credentials {
    guard let words = ShellWords.split(command), let first = words.first else {
      throw failure("is no command line: a quote is not closed, or it is empty")
    }
    let program = HelperProgram(
      words: words,
      environment: Self.cleaned(environment),
      maxOutputBytes: Self.maxOutputBytes,
      timeout: timeout
    )
    let output: [UInt8]
    do throws(HelperProgram.Failure) {
      output = try program.output()
    } catch {
      throw failure(Self.text(error, program: PrintableName.text(first.utf8), timeout))
    }
    return try read(output)
  }

  /// The variables without the credentials that it should not hand on, and without our own.
  static func cleaned(_ environment: [String: String]) -> [String: String] {
    environment.filter { name, _ in
      !name.hasPrefix("WDSFS_")
        && ![
          "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
          "AWS_CREDENTIAL_EXPIRATION", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        ].contains(name)
    }
  }

  private func read(_ output: [UInt8]) throws(StoreError) -> Credentials {
    let reply: Reply
    do {
      reply = try JSONDecoder().decode(Reply.self, from: Data(output))
    } catch {
      throw failure("printed no JSON object of credentials")
    }
    guard reply.version == 1 else {
      throw failure("printed a Version other than 1, the only one there is")
    }
    guard let identifier = reply.accessKeyID, !identifier.isEmpty,
      let secret = reply.secretAccessKey, !secret.isEmpty
    else { throw failure("printed no AccessKeyId and SecretAccessKey") }
    var expiry: CalendarTime?
    if let text = reply.expiration {
      expiry = CalendarTime(iso8601: text)
      guard expiry != nil else { throw failure("printed an Expiration that is no ISO 8601 time") }
    }
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: reply.sessionToken.map { Secret($0) },
      expiry: expiry,
      source: "the credential_process of \(profileName)"
    )
  }

  private func failure(_ detail: String) -> StoreError {
    .credentials("the credential_process of \(profileName) \(detail); run it by hand to see more")
  }

  private static func text(
    _ failure: HelperProgram.Failure,
    program: String,
    _ timeout: Duration
  ) -> String {
    switch failure {
    case .notStarted(let detail): "cannot be started (\(program): \(detail))"
    case .exited(let status): "failed with exit status \(status)"
    case .signalled(let signal): "was ended by signal \(signal)"
    case .tookTooLong: "did not end within \(timeout)"
    case .printedTooMuch: "printed more than \(maxOutputBytes) bytes"
    }
  }
}
