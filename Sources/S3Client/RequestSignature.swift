import Crypto
import Synchronization

/// Signs requests, for S3 above all: AWS Signature Version 4, in the Authorization header.
///
/// Paths are encoded once, as S3 wants it and other AWS services do not ("Signature Calculations
/// for the Authorization Header", Amazon S3 API reference).
package final class RequestSignature: Sendable {
  /// SHA-256 of nothing: the body of every GET.
  package static let emptyBodyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

  /// What is signed of a request.
  package struct Input: Sendable {
    package var method = "GET"

    /// As the signature's scope names it.
    package var service = "s3"

    /// SHA-256 of the body, in hex.
    package var bodyHash = RequestSignature.emptyBodyHash
    package var host: String

    /// Percent-encoded, begins with a slash.
    package var path: String

    /// Percent-encoded, as it is sent.
    package var query = ""

    /// Further headers, by lower-case names, each name once.
    package var headers: [(name: String, value: String)] = []

    package init(host: String, path: String) {
      self.host = host
      self.path = path
    }
  }

  private struct DayKey {
    let scope: String
    let accessKeyID: String
    let secretAccessKey: Secret
    let key: SymmetricKey
  }

  /// The key of the day: four HMACs that need not be repeated for each request.
  private let dayKey = Mutex<DayKey?>(nil)

  package init() {}

  /// Computes the headers that make a request a signed one.
  ///
  /// - Returns: `x-amz-content-sha256` (S3 alone wants it), `x-amz-date`, the session token where
  ///   there is one, and `authorization`; none of them may be logged.
  package func headers(
    for input: Input,
    credentials: Credentials,
    region: String,
    at time: CalendarTime
  ) -> [(name: String, value: String)] {
    let date = time.compact
    var added = [("x-amz-date", date)]
    if input.service == "s3" { added.insert(("x-amz-content-sha256", input.bodyHash), at: 0) }
    if let token = credentials.sessionToken {
      added.append(("x-amz-security-token", token.revealed))
    }
    let signed = (input.headers + added + [("host", input.host)]).sorted { $0.name < $1.name }
    let names = signed.map(\.name).joined(separator: ";")
    let canonical = [
      input.method, input.path, Self.canonical(query: input.query),
      signed.map { "\($0.name):\(Self.canonical(value: $0.value))\n" }.joined(), names,
      input.bodyHash,
    ].joined(separator: "\n")
    let day = String(date.prefix(8))
    let scope = "\(day)/\(region)/\(input.service)/aws4_request"
    let toSign = ["AWS4-HMAC-SHA256", date, scope, Self.hex(SHA256.hash(data: canonical.bytes))]
      .joined(separator: "\n")
    let key = key(of: scope, [day, region, input.service], credentials)
    let signature = Self.hex(HMAC<SHA256>.authenticationCode(for: toSign.bytes, using: key))
    let authorization =
      "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope),"
      + "SignedHeaders=\(names),Signature=\(signature)"
    return added + [("authorization", authorization)]
  }

  /// A query as it is signed: sorted by name, then by value, each name with its `=`.
  private static func canonical(query: String) -> String {
    let items = query.split(separator: "&").map { item in
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (name: parts[0], value: parts.count > 1 ? parts[1] : "")
    }
    return items.sorted { $0 < $1 }.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
  }

  /// A header's value as it is signed: no space at its ends, one where several follow each other.
  private static func canonical(value: String) -> String {
    value.split(separator: " ").joined(separator: " ")
  }

  private func key(
    of scope: String,
    _ parts: [String],
    _ credentials: Credentials
  ) -> SymmetricKey {
    let cached = dayKey.withLock { $0 }
    if let cached, cached.scope == scope, cached.accessKeyID == credentials.accessKeyID,
      cached.secretAccessKey == credentials.secretAccessKey
    {
      return cached.key
    }
    var key = SymmetricKey(data: ("AWS4" + credentials.secretAccessKey.revealed).bytes)
    for part in parts + ["aws4_request"] {
      key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: part.bytes, using: key))
    }
    let made = DayKey(
      scope: scope,
      accessKeyID: credentials.accessKeyID,
      secretAccessKey: credentials.secretAccessKey,
      key: key
    )
    dayKey.withLock { $0 = made }
    return key
  }

  /// Hex digits in lower case.
  static func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
      as: UTF8.self
    )
  }
}

extension String {
  fileprivate var bytes: [UInt8] { Array(utf8) }
}
