import FoundationEssentials
import Remote

/// The JSON in which container endpoints and the instance metadata service give credentials.
struct SessionCredentials: Decodable {
  private let code: String?
  private let message: String?
  private let accessKeyID: String?
  private let secretAccessKey: String?
  private let token: String?
  private let expiration: String?

  private enum CodingKeys: String, CodingKey {
    case code = "Code"
    case message = "Message"
    case accessKeyID = "AccessKeyId"
    case secretAccessKey = "SecretAccessKey"
    case token = "Token"
    case expiration = "Expiration"
  }

  /// Reads a reply's body.
  ///
  /// - Parameters:
  ///   - body: As it came.
  ///   - source: For messages, for example `the container endpoint`.
  /// - Returns: The credentials, with the source as theirs.
  /// - Throws: `StoreError.credentials` for everything else than credentials.
  static func credentials(in body: [UInt8], from source: String) throws(StoreError) -> Credentials {
    let found: SessionCredentials
    do {
      found = try JSONDecoder().decode(SessionCredentials.self, from: Data(body))
    } catch {
      throw .credentials("\(source) answers with no JSON object of credentials")
    }
    guard let identifier = found.accessKeyID, let secret = found.secretAccessKey,
      !identifier.isEmpty, !secret.isEmpty
    else {
      let told = [found.code, found.message].compactMap(\.self).map { PrintableName.text($0.utf8) }
      throw .credentials(
        "\(source) answers without credentials"
          + (told.isEmpty ? "" : " (\(told.joined(separator: ": ")))")
      )
    }
    var expiry: CalendarTime?
    if let text = found.expiration {
      expiry = CalendarTime(iso8601: text)
      guard expiry != nil else {
        throw .credentials("\(source) answers with an Expiration that is no ISO 8601 time")
      }
    }
    return Credentials(
      accessKeyID: identifier,
      secretAccessKey: Secret(secret),
      sessionToken: found.token.map { Secret($0) },
      expiry: expiry,
      source: source
    )
  }
}
