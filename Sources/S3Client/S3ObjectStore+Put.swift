import Crypto
package import Remote

/// The bytes of a request, and the sums by which a server knows that they came whole.
struct RequestBody: Sendable {
  let content: ObjectContent

  /// Signed with the request, so that no byte can change on the way.
  let sha256: String

  /// As base64, for servers that look at no other sum, and for requests that are not signed.
  let md5: String

  init(_ content: ObjectContent) {
    self.content = content
    sha256 = RequestSignature.hex(SHA256.hash(data: content.bytes))
    md5 = Base64.text(of: Array(Insecure.MD5.hash(data: content.bytes)))
  }
}

extension S3ObjectStore: WritableStore {
  /// Long enough for a store to take what was sent in.
  private static let putTimeout: Duration = .seconds(600)

  /// Sends PutObject, again where that may help; the object is there whole or not at all.
  package func put(_ content: ObjectContent, to key: ObjectKey) throws(StoreError) {
    let answer = Answer<Void>()
    var target = RequestTarget(
      key: key,
      what: "PUT \(PrintableName.text(key.bytes)) of \(displayName)"
    )
    target.method = .put
    target.body = RequestBody(content)
    let fetch = BodyFetch(target, maxBytes: 64 << 10, from: origin, answer: answer.give) {
      head,
      _ in
      head.status == 200 ? .value(()) : .failure
    }
    let ticket = loop.start(fetch, priority: .reader, deadline: .now + Self.putTimeout)
    defer { ticket.cancel() }
    try answer.wait()
  }
}

/// Base64 as RFC 4648, section 4, has it.
enum Base64 {
  private static let letters = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
  )

  static func text(of bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
      for place in 0..<4 {
        let letter = letters[Int(bits >> UInt32(18 - 6 * place) & 63)]
        text.append(place <= group.count ? letter : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
