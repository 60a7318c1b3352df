import Crypto
import FoundationEssentials
import Remote

/// The sessions of roles that the AWS CLI has opened: `~/.aws/cli/cache/SHA1.json`.
///
/// The way to a role that wants the code of a device (`mfa_serial`): the CLI asks its user for the code
/// and keeps the session, which is good here as well.
struct RoleSessionCache {
  private static let maxBytes = 1024 * 1024
  private let folder: String

  /// - Parameter environment: Has the home.
  init(_ environment: [String: String]) {
    folder = environment.homeFolder + "/.aws/cli/cache"
  }

  private struct Content: Decodable {
    let credentials: Session

    private enum CodingKeys: String, CodingKey {
      case credentials = "Credentials"
    }
  }

  private struct Session: Decodable {
    let accessKeyID: String
    let secretAccessKey: String
    let sessionToken: String
    let expiration: String

    private enum CodingKeys: String, CodingKey {
      case accessKeyID = "AccessKeyId"
      case secretAccessKey = "SecretAccessKey"
      case sessionToken = "SessionToken"
      case expiration = "Expiration"
    }
  }

  /// The session of a role and a device; nil where there is none that lasts.
  func credentials(
    of role: SecurityTokenService.Role,
    deviceSerial: String,
    at now: CalendarTime
  ) -> Credentials? {
    let path = "\(folder)/\(Self.name(of: role, deviceSerial: deviceSerial)).json"
    guard let file = try? SmallFile(reading: path, maxBytes: Self.maxBytes),
      let found = try? JSONDecoder().decode(Content.self, from: Data(file.bytes)).credentials,
      let expiry = CalendarTime(iso8601: found.expiration), expiry.seconds > now.seconds
    else { return nil }
    return Credentials(
      accessKeyID: found.accessKeyID,
      secretAccessKey: Secret(found.secretAccessKey),
      sessionToken: Secret(found.sessionToken),
      expiry: expiry,
      source: role.name + " in the AWS CLI's cache"
    )
  }

  /// The digest of what the role is asked for, in JSON as Python writes it, with sorted names.
  private static func name(
    of role: SecurityTokenService.Role,
    deviceSerial: String
  ) -> String {
    let fields: [(name: String, value: String?)] = [
      ("DurationSeconds", role.durationSeconds.map { "\($0)" }),
      ("ExternalId", role.externalID.map { quoted($0) }),
      ("RoleArn", quoted(role.arn)),
      ("RoleSessionName", role.sessionName.map { quoted($0) }),
      ("SerialNumber", quoted(deviceSerial)),
    ]
    let members = fields.compactMap { field in field.value.map { "\"\(field.name)\": \($0)" } }
    let text = "{\(members.joined(separator: ", "))}"
    return RequestSignature.hex(Insecure.SHA1.hash(data: Array(text.utf8)))
  }

  /// A string in JSON of ASCII alone.
  private static func quoted(_ text: String) -> String {
    let marks = text.utf16.map { unit in
      switch unit {
      case 0x22: "\\\""
      case 0x5C: "\\\\"
      case 0x20...0x7E: String(decoding: [UInt8(unit)], as: UTF8.self)
      default:
        "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count)
          + String(unit, radix: 16)
      }
    }
    return "\"\(marks.joined())\""
  }
}
