/// What a field is decoded into.
package enum FieldFormat: Hashable, Sendable {
  /// An array as `numpy.save` writes it: of an image, a number, or a JSON array.
  case npy(ImageSize?)

  /// What a compressed field holds.
  case raw

  /// JSON of MessagePack.
  case json

  /// The bytes as they are, once they are known to be UTF-8.
  case txt

  /// What a program of the user's makes of it; `name` is the shown field's last part.
  case pipe(words: [String], name: String?)

  init(parsing text: String) throws(SchemaError) {
    let colon = text.firstIndex(of: ":")
    let name = colon.map { String(text[..<$0]) } ?? text
    let argument = colon.map { String(text[text.index(after: $0)...]) }
    switch (name, argument) {
    case ("npy", nil): self = .npy(nil)
    case ("npy", let size?): self = .npy(try ImageSize(parsing: size))
    case ("raw", nil): self = .raw
    case ("json", nil): self = .json
    case ("txt", nil): self = .txt
    case ("pipe", let command?):
      self = .pipe(words: try CommandWords.split(command), name: nil)
    case (let name, let command?) where name.hasPrefix("pipe."):
      let shown = String(name.dropFirst("pipe.".count))
      guard Self.isName(shown) else { throw .badExtension(shown) }
      self = .pipe(words: try CommandWords.split(command), name: shown)
    case ("pipe", nil): throw .badCommand("nothing stands there")
    default: throw .unknownFormat(name)
    }
  }

  private static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 64 && !text.hasPrefix(".") && !text.hasSuffix(".")
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }

  /// How the decoded field's name comes from the raw one's.
  enum Naming {
    /// Another last part.
    case replaced(String)

    /// Without its last part, which names a compression.
    case dropped
    case kept
  }

  func naming(isBeside: Bool) -> Naming {
    switch self {
    case .npy: .replaced("npy")
    case .raw: .dropped
    case .json: .replaced("json")
    case .txt: .replaced("txt")
    case .pipe(_, let name?): .replaced(name)
    case .pipe(_, nil): isBeside ? .replaced("pipe") : .kept
    }
  }

  /// The decoded form's size where it follows from the format alone.
  package var fixedSizeBytes: Int64? {
    guard case .npy(.exact(let width, let height)) = self else { return nil }
    let header = ArrayHeader(type: .uint8, shape: [height, width, 3])
    return Int64(header.bytes.count) + Int64(width) * Int64(height) * 3
  }
}

/// Splits a command as a shell would, without running one: blanks, quotes and backslashes.
enum CommandWords {
  static func split(_ text: String) throws(SchemaError) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Unicode.Scalar?
    var isEscaped = false
    for scalar in text.unicodeScalars {
      guard scalar.value != 0 else { throw .badCommand("a zero byte") }
      if isEscaped {
        // Between double quotes a backslash stands for itself before most characters.
        if quote == "\"", scalar != "\"", scalar != "\\" { word = (word ?? "") + "\\" }
        word = (word ?? "") + String(scalar)
        isEscaped = false
      } else if scalar == "\\", quote != "'" {
        isEscaped = true
      } else if scalar == quote {
        quote = nil
      } else if quote == nil, scalar == "'" || scalar == "\"" {
        quote = scalar
        word = word ?? ""
      } else if quote == nil, scalar.properties.isWhitespace {
        if let word { words.append(word) }
        word = nil
      } else {
        word = (word ?? "") + String(scalar)
      }
    }
    guard quote == nil, !isEscaped else { throw .badCommand("a quote is not closed") }
    if let word { words.append(word) }
    guard let program = words.first, !program.isEmpty else {
      throw .badCommand("nothing stands there")
    }
    return words
  }
}
