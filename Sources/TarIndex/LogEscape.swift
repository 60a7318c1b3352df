/// Makes foreign bytes fit for a log line, a metric or an error text.
///
/// Control characters, the backslash and bytes that are not UTF-8 appear as `\xHH`. At most 200
/// bytes are written; what would go beyond is cut off, never within an escape or a character.
package func escapedForLog(_ bytes: some Collection<UInt8>) -> String {
  let maxBytes = 200
  // No byte is written as less than one, so what lies further cannot matter.
  return Array(bytes.prefix(maxBytes + 3)).withUnsafeBytes { input in
    var result = ""
    var written = 0
    var position = 0
    while position < input.count {
      let byte = input[position]
      let piece: String
      var length = 1
      if byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "\\") {
        piece = hexEscape(byte)
      } else if byte < 0x80 {
        piece = String(Unicode.Scalar(byte))
      } else if let (scalar, scalarBytes) = UTF8Scalar.decode(input, at: position) {
        piece = String(scalar)
        length = scalarBytes
      } else {
        piece = hexEscape(byte)
      }
      guard written + piece.utf8.count <= maxBytes else { break }
      result += piece
      written += piece.utf8.count
      position += length
    }
    return result
  }
}

private func hexEscape(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16, uppercase: true)
  return digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
}
