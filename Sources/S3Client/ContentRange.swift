/// What a `Content-Range` header says of the body.
package struct ContentRange: Hashable, Sendable {
  package let range: Range<Int64>

  /// The whole object's size; nil where the server does not tell it (`*`).
  package let total: Int64?

  /// Reads `bytes first-last/total`; nil for anything else (RFC 9110, section 14.4).
  package init?(_ text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: true)
    guard words.count == 2, words[0].lowercased() == "bytes" else { return nil }
    let parts = words[1].split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]),
      first <= last, last < .max
    else { return nil }
    if parts[1] == "*" {
      total = nil
    } else {
      guard let size = Self.number(parts[1]), last < size else { return nil }
      total = size
    }
    range = first..<(last + 1)
  }

  private static func number(_ text: Substring) -> Int64? {
    text.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      ? Int64(text) : nil
  }
}
