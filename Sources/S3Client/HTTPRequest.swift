import Remote

/// A request as it goes out; made anew for each attempt, since a signature holds the time.
///
/// Its headers may hold a signature and a token: never log it.
struct HTTPRequest: Sendable {
  enum Method: Sendable {
    case get
    case head
    case put

    /// As the request line spells it.
    var name: String {
      switch self {
      case .get: "GET"
      case .head: "HEAD"
      case .put: "PUT"
      }
    }
  }

  var method = Method.get
  var url: String
  var headers: [(name: String, value: String)] = []

  /// What a PUT sends.
  var body: ObjectContent?

  /// Who signed it, and when; nil where nobody did.
  var signing: Signing?

  struct Signing: Sendable {
    let signer: Credentials
    let time: CalendarTime
  }
}

/// What is asked for, without host, signature and encoding.
struct RequestTarget: Sendable {
  var method = HTTPRequest.Method.get

  /// Nil for the container itself.
  var key: ObjectKey?

  /// Not yet encoded.
  var query: [(name: String, value: String)] = []

  /// Half-open; nil asks for the whole.
  var range: Range<Int64>?

  /// Sent as If-Match.
  var eTag: String?

  /// What a PUT sends.
  var body: RequestBody?

  /// Whether a checksum of the whole is to come with the reply, where the store has one.
  var wantsChecksum = false

  /// For messages, for example `bytes 0..<512 of s3://bucket/key`.
  var what: String
}
