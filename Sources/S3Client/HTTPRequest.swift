import Remote

/// A request as it goes out; made anew for each attempt, since a signature holds the time.
///
/// Its headers may hold a signature and a token: never log it.
struct HTTPRequest: Sendable {
  enum Method: Sendable {
    case get
    case head
  }

  var method = Method.get
  var url: String
  var headers: [(name: String, value: String)] = []

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

  /// For messages, for example `bytes 0..<512 of s3://bucket/key`.
  var what: String
}
