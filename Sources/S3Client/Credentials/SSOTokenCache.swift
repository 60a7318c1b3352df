import Crypto
import FoundationEssentials
import Glibc
import Remote

/// What `aws sso login` leaves behind for a session or a start URL.
struct SSOToken {
  /// As the CLI: a token that ends within a quarter of an hour is renewed.
  static let renewalSeconds: Int64 = 15 * 60

  var accessToken: String
  var expiry: CalendarTime
  var refreshToken: String?
  var registration: Registration?

  /// The CLI as a client of the identity provider.
  struct Registration {
    let clientID: String
    let clientSecret: String
    let expiry: CalendarTime
  }
}

/// A token's file in the CLI's cache: `~/.aws/sso/cache/SHA1.json`.
struct SSOTokenCache {
  private static let maxBytes = 1024 * 1024
  private let folder: String
  private let path: String

  /// Names the file.
  ///
  /// - Parameters:
  ///   - name: The session's, or for the older keys the start URL.
  ///   - environment: Has the home.
  init(name: String, environment: [String: String]) {
    let digits = RequestSignature.hex(Insecure.SHA1.hash(data: Array(name.utf8)))
    folder = environment.homeFolder + "/.aws/sso/cache"
    path = "\(folder)/\(digits).json"
  }

  private struct Content: Codable {
    var startUrl: String?
    var region: String?
    var accessToken: String?
    var expiresAt: String?
    var clientId: String?
    var clientSecret: String?
    var registrationExpiresAt: String?
    var refreshToken: String?
  }

  /// The token; nil where there is none that makes sense.
  func read() -> SSOToken? {
    guard let file = try? SmallFile(reading: path, maxBytes: Self.maxBytes),
      let content = try? JSONDecoder().decode(Content.self, from: Data(file.bytes)),
      let accessToken = content.accessToken, !accessToken.isEmpty,
      let expiry = content.expiresAt.flatMap({ CalendarTime(iso8601: $0) })
    else { return nil }
    var token = SSOToken(accessToken: accessToken, expiry: expiry)
    token.refreshToken = content.refreshToken
    if let clientID = content.clientId, let clientSecret = content.clientSecret,
      let end = content.registrationExpiresAt.flatMap({ CalendarTime(iso8601: $0) })
    {
      token.registration = SSOToken.Registration(
        clientID: clientID,
        clientSecret: clientSecret,
        expiry: end
      )
    }
    return token
  }

  /// Replaces the file in one step, so that the CLI reads the old one or the new one.
  ///
  /// A refresh token may be good once only, hence the CLI must learn the next one. Where that is
  /// impossible (a read-only home) we go on with what we have.
  func write(_ token: SSOToken, startURL: String, region: String) {
    let content = Content(
      startUrl: startURL,
      region: region,
      accessToken: token.accessToken,
      expiresAt: token.expiry.iso8601,
      clientId: token.registration?.clientID,
      clientSecret: token.registration?.clientSecret,
      registrationExpiresAt: token.registration?.expiry.iso8601,
      refreshToken: token.refreshToken
    )
    guard let data = try? JSONEncoder().encode(content) else { return }
    let temporary = "\(path).\(getpid()).tmp"
    unlink(temporary)
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { return }
    let bytes = Array(data)
    let isWhole = Glibc.write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
    close(file)
    guard isWhole, rename(temporary, path) == 0 else {
      unlink(temporary)
      return
    }
  }
}
