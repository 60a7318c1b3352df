/// The status and the headers of a reply.
package struct ReplyHead: Hashable, Sendable {
  /// docs/reliability.md, S7: counted by us, the informational heads before it included.
  static let maxBytes = 64 * 1024

  package let status: Int
  private let fields: [Field]

  private struct Field: Hashable {
    let name: String
    let value: String
  }

  /// Reads a head from its status line to the empty line; nil where it is none.
  package init?(_ bytes: [UInt8]) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
    guard let first = lines.first, first.starts(with: "HTTP/".utf8) else { return nil }
    let words = first.split(separator: UInt8(ascii: " "), maxSplits: 2)
    guard words.count >= 2, let status = Int(Self.trimmed(words[1])), (100...999).contains(status)
    else { return nil }
    self.status = status
    fields = lines.dropFirst().compactMap { line in
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
      return Field(
        name: Self.trimmed(line[..<colon]).lowercased(),
        value: Self.trimmed(line[(colon + 1)...])
      )
    }
  }

  /// The value of a header, by its lower-case name; the first where there are several.
  package subscript(name: String) -> String? {
    fields.first { $0.name == name }?.value
  }

  /// The declared length of the body; nil where there is none.
  ///
  /// - Throws: `StoreError.badReply`-worthy text where it is no number, or several that differ.
  func contentLength() throws(MalformedHead) -> Int64? {
    let values = Set(fields.lazy.filter { $0.name == "content-length" }.map(\.value))
    guard let value = values.first else { return nil }
    guard values.count == 1, let length = Int64(value), length >= 0 else {
      throw MalformedHead(detail: "an unusable Content-Length")
    }
    // A chunked body has its own length.
    return self["transfer-encoding"] == nil ? length : nil
  }

  /// What the server asks to wait: `x-amz-retry-after` in milliseconds, `Retry-After` in seconds.
  var retryAfter: Duration? {
    if let text = self["x-amz-retry-after"], let value = Int64(text), value >= 0, value < 1 << 32 {
      return .milliseconds(value)
    }
    if let text = self["retry-after"], let value = Int64(text), value >= 0, value < 1 << 32 {
      return .seconds(value)
    }
    return nil
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
    var bytes = bytes
    while let last = bytes.last, last <= 0x20 { bytes.removeLast() }
    while let first = bytes.first, first <= 0x20 { bytes.removeFirst() }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// A header that makes no sense.
struct MalformedHead: Error {
  let detail: String
}
