/// Foreign names as they may stand in a log line, a message or a terminal.
package enum PrintableName {
  /// A key is at most 1,024 bytes long; its first 200 tell which one it is.
  package static let maxPrintedBytes = 200

  /// Spells a name so that it cannot harm whoever prints it.
  ///
  /// Bytes below 0x20, 0x7F, the backslash and what is not UTF-8 appear as `\xHH`; at most
  /// `maxPrintedBytes` are printed, escapes counted as they stand (format page, section 6), and `…`
  /// where that is not all.
  package static func text(_ name: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    var rest = name[...]
    while let byte = rest.first {
      let length = scalarLength(at: rest)
      let isEscaped = length == 0 || byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "\\")
      if text.count + (isEscaped ? 4 : length) > maxPrintedBytes { break }
      if isEscaped {
        text += [UInt8(ascii: "\\"), UInt8(ascii: "x"), hexDigit(byte >> 4), hexDigit(byte & 15)]
        rest = rest.dropFirst()
      } else {
        text += rest.prefix(length)
        rest = rest.dropFirst(length)
      }
    }
    return String(decoding: text, as: UTF8.self) + (rest.isEmpty ? "" : "…")
  }

  /// The length of the UTF-8 sequence at the start, 0 where there is none.
  private static func scalarLength(at bytes: some Collection<UInt8>) -> Int {
    guard let first = bytes.first else { return 0 }
    let length: Int
    switch first {
    case 0x00...0x7F: return 1
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF: length = 3
    case 0xF0...0xF4: length = 4
    default: return 0
    }
    let sequence = Array(bytes.prefix(length))
    return String(validating: sequence, as: UTF8.self) == nil || sequence.count < length
      ? 0 : length
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
  }
}

extension ObjectKey: CustomStringConvertible {
  /// The key as it may be printed; not the key itself where it holds odd bytes.
  package var description: String { PrintableName.text(bytes) }
}
