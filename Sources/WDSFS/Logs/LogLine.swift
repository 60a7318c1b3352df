package import Glibc

/// One event as a line: `event=s3.retry level=info shard=train-000017.tar attempt=2 msg="…"`.
///
/// Whatever the values hold, it is one line of printable text, and can be split again at its spaces
/// and quotes.
package struct LogLine: Hashable, Sendable {
  package let text: String

  /// A pipe takes this much without blocking half way, and a datagram to syslog carries it.
  package static let maxBytes = 4000

  /// - Parameters:
  ///   - event: What happened, in dotted words.
  ///   - level: For example `warning`.
  ///   - fields: In the order in which they are to stand.
  ///   - suppressedCount: Lines of the same event and shard that were left out before this one.
  ///   - message: The sentence for people.
  package init(
    event: String,
    level: String,
    fields: [(key: String, value: String)],
    suppressedCount: Int = 0,
    message: String
  ) {
    var text = "event=\(Self.value(event)) level=\(level)"
    for (key, value) in fields {
      text += " \(Self.key(key))=\(Self.value(value))"
    }
    if suppressedCount > 0 { text += " suppressed=\(suppressedCount)" }
    text += " msg=" + Self.quoted(message)
    self.text = Self.cut(text)
  }

  /// A value, in quotes where it would not be one word without.
  static func value(_ value: String) -> String {
    let isWord = value.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "="), UInt8(ascii: "\\"): false
      default: (0x21..<0x7f).contains(byte)
      }
    }
    return isWord && !value.isEmpty ? value : quoted(value)
  }

  private static func quoted(_ value: String) -> String {
    var text = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      default: PrintableText.append(scalar, to: &text)
      }
    }
    return text + "\""
  }

  /// Keys are ours; one that is not a word is made one.
  private static func key(_ key: String) -> String {
    String(
      key.unicodeScalars.map { scalar -> Character in
        let isWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        return scalar.isASCII && (isWord || scalar == "." || scalar == "_")
          ? Character(scalar) : "_"
      }
    )
  }

  private static func cut(_ text: String) -> String {
    guard text.utf8.count > maxBytes else { return text }
    let end = text.utf8.index(text.startIndex, offsetBy: maxBytes - 4)
    return text[..<end.samePosition(in: text.unicodeScalars, before: text)] + "...\""
  }
}

extension String.Index {
  /// The nearest place at or before this one where a scalar begins.
  fileprivate func samePosition(
    in scalars: String.UnicodeScalarView,
    before text: String
  ) -> String.Index {
    var index = self
    while index > text.startIndex, index.samePosition(in: scalars) == nil {
      index = text.utf8.index(before: index)
    }
    return index
  }
}

// MARK: - Time

extension LogLine {
  /// The line with its time in front, in ISO 8601, UTC, for example `2026-01-31T23:59:59.120Z`.
  package func stamped(_ time: timespec) -> String {
    Self.timeStamp(time) + " " + text
  }

  package static func timeStamp(_ time: timespec) -> String {
    var seconds = time.tv_sec
    var parts = tm()
    gmtime_r(&seconds, &parts)
    let milliseconds = time.tv_nsec / 1_000_000
    let date = "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    let tail = String(1000 + milliseconds).dropFirst()
    return "\(date)T\(clock).\(tail)Z"
  }

  private static func two(_ number: Int32) -> String {
    number < 10 ? "0\(number)" : "\(number)"
  }
}
