/// An ETag as it is compared: without `W/`, with quotes, which some servers leave out in listings.
struct EntityTag: Hashable {
  /// Begins the tags that we make ourselves where a server gives none.
  private static let madeMark = "\"wdsfs-"

  let value: String
  let isWeak: Bool

  init(_ text: String) {
    isWeak = text.hasPrefix("W/")
    let tag = isWeak ? text.dropFirst(2) : text[...]
    value = tag.isEmpty || tag.hasPrefix("\"") ? String(tag) : "\"\(tag)\""
  }

  /// A weak tag of the time of change and the size, for objects without one.
  static func made(modifiedSeconds: Int64, sizeBytes: Int64) -> String {
    "W/\(madeMark)\(String(modifiedSeconds, radix: 16))-\(String(sizeBytes, radix: 16))\""
  }

  /// The tag as a header has it.
  var text: String { (isWeak ? "W/" : "") + value }

  /// Whether If-Match may carry it (RFC 9110, section 13.1.1).
  var isStrong: Bool {
    !isWeak && !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
  }

  var isMade: Bool { isWeak && value.hasPrefix(Self.madeMark) }
}
