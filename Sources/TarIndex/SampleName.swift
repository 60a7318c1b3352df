/// How a member's name becomes a key and a field, and a field a file name.
///
/// Names are bytes throughout. The split is that of webdataset's `base_plus_ext`.
package enum SampleName {
  package enum Split: Equatable, Sendable {
    /// The key is the first `keyBytes` bytes, the field what follows the byte after it.
    case field(keyBytes: Int)

    /// Left out without a word.
    case metadata

    /// Left out with a warning.
    case noExtension
  }

  private static let slash = UInt8(ascii: "/")
  private static let dot = UInt8(ascii: ".")

  /// Splits a member's name.
  package static func split(_ name: UnsafeRawBufferPointer) -> Split {
    var baseStart = name.count
    while baseStart > 0, name[baseStart - 1] != slash { baseStart -= 1 }
    if name.count >= 2, name[0] == UInt8(ascii: "_"), name[1] == UInt8(ascii: "_"),
      isMetadata(name, hasSlash: baseStart > 0)
    {
      return .metadata
    }
    guard baseStart < name.count else { return .noExtension }
    guard name[baseStart] == dot else {
      var position = baseStart + 1
      while position < name.count, name[position] != dot { position += 1 }
      return position < name.count ? .field(keyBytes: position) : .noExtension
    }
    // A hidden file: below a directory whose own name has no dot, the directory is the key.
    guard baseStart > 0 else { return .noExtension }
    var position = baseStart - 1
    while position > 0, name[position - 1] != slash {
      position -= 1
      if name[position] == dot { return .noExtension }
    }
    return .field(keyBytes: baseStart)
  }

  /// Whether a name that begins with `__` is one that the reference reader passes over.
  private static func isMetadata(_ name: UnsafeRawBufferPointer, hasSlash: Bool) -> Bool {
    func endsWithMark(_ end: Int) -> Bool {
      name[end - 1] == UInt8(ascii: "_") && name[end - 2] == UInt8(ascii: "_")
    }
    guard hasSlash else { return endsWithMark(name.count) }
    guard let end = name.firstIndex(of: slash), end >= 4 else { return false }
    return endsWithMark(end)
  }

  /// Whether a field, already in lower case, is one that the reference reader keeps for itself.
  package static func isReserved(_ field: UnsafeRawBufferPointer) -> Bool {
    guard field.count >= 7, field[0] == UInt8(ascii: "_") else { return false }
    return field.equals("__key__") || field.equals("__url__") || field.equals("__local_path__")
      || field.equals("__bad__") || field.equals("__shard__") || field.equals("__index__")
  }

  // MARK: Lower case

  /// Whether lower-casing could change a field: it has a capital letter, or bytes beyond ASCII.
  static func mayChangeCase(_ field: UnsafeRawBufferPointer) -> Bool {
    field.contains { $0 >= 0x80 || (0x41...0x5A).contains($0) }
  }

  /// Appends a field in lower case: code point by code point where it is UTF-8, else as it is.
  package static func appendLowercased(
    _ field: UnsafeRawBufferPointer,
    to result: inout [UInt8]
  ) {
    var position = 0
    while position < field.count {
      let byte = field[position]
      if byte < 0x80 {
        result.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
        position += 1
      } else if let (scalar, length) = UTF8Scalar.decode(field, at: position) {
        result.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
        position += length
      } else {
        result.append(byte)
        position += 1
      }
    }
  }
}

/// Strict UTF-8, one code point at a time: RFC 3629, section 4.
enum UTF8Scalar {
  /// The code point beyond ASCII that begins at a position, and its length; nil where none does.
  static func decode(
    _ bytes: UnsafeRawBufferPointer,
    at position: Int
  ) -> (scalar: Unicode.Scalar, length: Int)? {
    let lead = bytes[position]
    let length: Int
    let lowest: UInt32
    switch lead {
    case 0xC2...0xDF: (length, lowest) = (2, 0x80)
    case 0xE0...0xEF: (length, lowest) = (3, 0x800)
    case 0xF0...0xF4: (length, lowest) = (4, 0x1_0000)
    default: return nil
    }
    guard bytes.count - position >= length else { return nil }
    var value = UInt32(lead) & (0x7F >> UInt32(length))
    for offset in 1..<length {
      let byte = bytes[position + offset]
      guard byte & 0xC0 == 0x80 else { return nil }
      value = value << 6 | UInt32(byte & 0x3F)
    }
    // Overlong forms fail here, surrogates and what lies beyond Unicode in the initialiser.
    guard value >= lowest, let scalar = Unicode.Scalar(value) else { return nil }
    return (scalar, length)
  }
}
