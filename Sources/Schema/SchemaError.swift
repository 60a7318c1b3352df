/// Why a rule of `--schema` is none.
package enum SchemaError: Error, Hashable, Sendable {
  /// Neither `=` nor `+` stands in it, or nothing stands before or behind.
  case malformed
  case badField(String)
  case unknownFormat(String)
  case badImageSize(String)
  case badExtension(String)
  case badCommand(String)

  /// Beside the raw field the decoded one would have its name.
  case sameName(String)
}

extension SchemaError: CustomStringConvertible {
  /// What is wrong and how it is written, as it follows "'rule' ".
  package var description: String {
    switch self {
    case .malformed:
      "is no rule; write FIELD=FORMAT, or FIELD+FORMAT to keep the raw field: jpg=npy:224x224"
    case .badField(let field):
      "names no field: '\(field)'; write a field as the mount lists it, like jpg or seg.png"
    case .unknownFormat(let name):
      "asks for an unknown format '\(name)'; write npy, npy:WxH, npy:short=N, raw, json, txt or"
        + " pipe:COMMAND"
    case .badImageSize(let text):
      "has no size in 'npy:\(text)'; write npy:224x224 (width, height) or npy:short=256, each from 1"
        + " to \(ImageSize.maxEdge)"
    case .badExtension(let text):
      "has no usable name in 'pipe.\(text)'; write letters, digits, dots, - and _ there, like pipe.npy"
    case .badCommand(let what):
      "has no command after pipe: (\(what)); write pipe:PROGRAM ARGUMENT…, quoted as for a shell"
    case .sameName(let name):
      "would show the decoded field under the raw one's name '\(name)'; write = in place of +"
    }
  }
}

/// Why the bytes of a field could not be decoded.
package enum DecodeError: Error, Hashable, Sendable {
  /// The bytes are not what the format reads.
  case notReadable(String)

  /// The decoded form, or what it takes on the way, is beyond a limit.
  case tooLarge(String)

  /// The user's program did not do its part.
  case program(String)

  /// The machine had no means for it at that moment.
  case noMeans(String)

  /// Whether another attempt on the same bytes gives the same.
  package var isLasting: Bool {
    switch self {
    case .notReadable, .tooLarge: true
    case .program, .noMeans: false
    }
  }
}

extension DecodeError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notReadable(let what), .tooLarge(let what), .program(let what), .noMeans(let what): what
    }
  }
}
