import Remote

/// The `%HH` spelling of bytes in URLs (RFC 3986; for signatures: upper-case digits).
package enum PercentEncoding {
  /// Encodes every byte but the unreserved ones and, if asked, the slash.
  package static func encoded(_ bytes: some Sequence<UInt8>, keepingSlash: Bool) -> String {
    var text: [UInt8] = []
    for byte in bytes {
      if isUnreserved(byte) || keepingSlash && byte == UInt8(ascii: "/") {
        text.append(byte)
      } else {
        append(byte, to: &text)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Encodes what may not stand in a URL, and leaves what is encoded already.
  ///
  /// For URLs as users write them: `%` before two hex digits stays, another becomes `%25`.
  package static func repaired(_ bytes: some Sequence<UInt8>) -> String {
    let bytes = Array(bytes)
    var text: [UInt8] = []
    for (place, byte) in bytes.enumerated() {
      let isEscape =
        byte == UInt8(ascii: "%") && place + 2 < bytes.count
        && hexValue(bytes[place + 1]) != nil && hexValue(bytes[place + 2]) != nil
      if isUnreserved(byte) || isEscape || "/:@!$&'()*+,;=".utf8.contains(byte) {
        text.append(byte)
      } else {
        append(byte, to: &text)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Decodes what is percent-encoded.
  ///
  /// - Parameters:
  ///   - text: Bytes with escapes.
  ///   - plusIsSpace: As in listings with `encoding-type=url`.
  /// - Returns: Nil where a `%` is not followed by two hex digits.
  package static func decoded(_ text: some Sequence<UInt8>, plusIsSpace: Bool) -> [UInt8]? {
    var bytes: [UInt8] = []
    var iterator = text.makeIterator()
    while let byte = iterator.next() {
      if byte == UInt8(ascii: "%") {
        guard let high = iterator.next().flatMap(hexValue),
          let low = iterator.next().flatMap(hexValue)
        else { return nil }
        bytes.append(high << 4 | low)
      } else {
        bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
      }
    }
    return bytes
  }

  private static func append(_ byte: UInt8, to text: inout [UInt8]) {
    let digits = Array("0123456789ABCDEF".utf8)
    text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }

  private static func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
