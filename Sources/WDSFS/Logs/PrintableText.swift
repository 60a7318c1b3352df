/// Makes whole sentences fit for a terminal and a line of log; names in them went through
/// `PrintableName` before.
///
/// A name in a bucket may hold line ends, terminal escapes or marks that turn the direction of what
/// follows; none of them is ever printed.
package enum PrintableText {
  /// The text on one line: what cannot be printed is escaped, line ends become spaces.
  package static func oneLine(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
    var line = ""
    line.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      if scalar == "\n" || scalar == "\r" {
        if line.last != " " { line += " " }
      } else {
        append(scalar, to: &line)
      }
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  /// Appends the scalar, escaped where a terminal would act on it rather than show it.
  package static func append(_ scalar: Unicode.Scalar, to text: inout String) {
    switch scalar.value {
    case 0..<0x20, 0x7f:
      text += hexEscape(UInt8(truncatingIfNeeded: scalar.value))
    case 0x80..<0xa0, 0xad, 0x61c, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff,
      0xfff9...0xfffb, 0xe0000...0xe007f:
      // Controls of the C1 set, and marks that are not seen or change the order of what is.
      text += "\\u{" + String(scalar.value, radix: 16) + "}"
    default:
      text.unicodeScalars.append(scalar)
    }
  }

  private static func hexEscape(_ byte: UInt8) -> String {
    (byte < 0x10 ? "\\x0" : "\\x") + String(byte, radix: 16, uppercase: true)
  }
}
