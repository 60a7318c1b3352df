/// Reads the part of TOML 1.0 that a list of options needs: keys, texts, numbers, yes or no, arrays.
///
/// Tables, dotted keys and dates name nothing of ours and are refused, as all is that TOML itself
/// forbids: with the line, and what to write. A library would bring all of Foundation along, whose
/// start takes longer than that of everything else here.
package struct TOMLReader {
  package enum Value: Hashable, Sendable {
    case text(String)

    /// An integer or float, without its underscores.
    case number(String)
    case flag(Bool)
    case list([Value])
  }

  package struct Entry: Hashable, Sendable {
    package let key: String
    package let value: Value

    /// Counted from 1.
    package let line: Int
  }

  /// What is wrong, and in which line.
  package struct Wrong: Error, Hashable {
    package let line: Int
    package let what: String
  }

  /// Arrays within arrays name nothing; this is only where the look into them ends.
  private static let maxDepth = 4

  private var rest: Substring.UnicodeScalarView
  private var line = 1

  /// The keys of a document with their values, in order.
  package static func entries(of text: String) throws(Wrong) -> [Entry] {
    // Swift takes a carriage return and a line feed for one letter; here they are two.
    var reader = TOMLReader(rest: text.unicodeScalars[...])
    if reader.rest.first == "\u{FEFF}" { reader.rest.removeFirst() }
    var entries: [Entry] = []
    var lines: [String: Int] = [:]
    while try reader.skipToEntry() {
      let line = reader.line
      let key = try reader.key()
      if let first = lines[key] {
        throw Wrong(line: line, what: "'\(key)' stands in line \(first) already")
      }
      lines[key] = line
      entries.append(Entry(key: key, value: try reader.value(), line: line))
      try reader.endLine()
    }
    return entries
  }

  // MARK: Between values

  /// - Returns: Whether there is an entry.
  private mutating func skipToEntry() throws(Wrong) -> Bool {
    try skipLines()
    guard let first = rest.first else { return false }
    guard first != "[" else { throw wrong("no tables here; write all options at the top level") }
    return true
  }

  private mutating func skipBlanks() {
    while rest.first == " " || rest.first == "\t" { rest.removeFirst() }
  }

  /// Blanks, comments and line ends.
  private mutating func skipLines() throws(Wrong) {
    while true {
      skipBlanks()
      try skipComment()
      guard takeLineEnd() else { return }
    }
  }

  private mutating func skipComment() throws(Wrong) {
    guard rest.first == "#" else { return }
    while let scalar = rest.first, scalar != "\n", !isCarriageReturnBeforeEnd() {
      guard Self.isAllowed(scalar) else { throw wrong("a control character in a comment") }
      rest.removeFirst()
    }
  }

  private func isCarriageReturnBeforeEnd() -> Bool {
    rest.first == "\r" && rest.dropFirst().first == "\n"
  }

  private mutating func takeLineEnd() -> Bool {
    if isCarriageReturnBeforeEnd() { rest.removeFirst() }
    guard rest.first == "\n" else { return false }
    rest.removeFirst()
    line += 1
    return true
  }

  private mutating func endLine() throws(Wrong) {
    skipBlanks()
    try skipComment()
    guard rest.isEmpty || takeLineEnd() else {
      throw wrong("something stands behind the value; write one option a line")
    }
  }

  private mutating func key() throws(Wrong) -> String {
    var key = ""
    if rest.first == "\"" || rest.first == "'" {
      key = try text()
    } else {
      while let scalar = rest.first, Self.isKeyPart(scalar) {
        key.unicodeScalars.append(scalar)
        rest.removeFirst()
      }
    }
    guard !key.isEmpty else { throw wrong("no option; write NAME = VALUE") }
    skipBlanks()
    guard rest.first != "." else { throw wrong("no dotted names here; write NAME = VALUE") }
    guard rest.first == "=" else { throw wrong("no '=' behind '\(key)'; write NAME = VALUE") }
    rest.removeFirst()
    skipBlanks()
    return key
  }

  private static func isKeyPart(_ scalar: Unicode.Scalar) -> Bool {
    isWordPart(scalar) || scalar == "-" || scalar == "_"
  }

  private static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
    ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar)
  }

  /// A tab, and whatever is no control character.
  private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "\t" || (scalar.value >= 0x20 && scalar.value != 0x7F)
  }

  private func wrong(_ what: String) -> Wrong { Wrong(line: line, what: what) }
}

// MARK: - Values

extension TOMLReader {
  private mutating func value(depth: Int = 0) throws(Wrong) -> Value {
    switch rest.first {
    case "\"", "'": return .text(try text())
    case "[": return .list(try list(depth: depth))
    case "{": throw wrong("no tables here; write NAME = VALUE")
    default: return try word()
    }
  }

  private mutating func list(depth: Int) throws(Wrong) -> [Value] {
    guard depth < Self.maxDepth else { throw wrong("too many arrays within arrays") }
    rest.removeFirst()
    var values: [Value] = []
    while true {
      try skipLines()
      if rest.first == "]" { break }
      values.append(try value(depth: depth + 1))
      try skipLines()
      if rest.first == "," {
        rest.removeFirst()
      } else if rest.first != "]" {
        throw wrong("the array does not end; write [\"a\", \"b\"]")
      }
    }
    rest.removeFirst()
    return values
  }

  /// `true`, `false` and numbers, which alone may stand without quotes.
  private mutating func word() throws(Wrong) -> Value {
    var word = ""
    while let scalar = rest.first, Self.isKeyPart(scalar) || "+.:%".unicodeScalars.contains(scalar)
    {
      word.unicodeScalars.append(scalar)
      rest.removeFirst()
    }
    switch word {
    case "": throw wrong("no value; write NAME = VALUE")
    case "true": return .flag(true)
    case "false": return .flag(false)
    default:
      guard let number = Self.number(word) else {
        throw wrong("'\(word)' wants quotes; write \"\(word)\"")
      }
      return .number(number)
    }
  }

  /// A decimal integer or float; underscores stand between digits only.
  private static func number(_ word: String) -> String? {
    var digits = ""
    var hasPoint = false
    var wasDigit = false
    for (place, scalar) in word.unicodeScalars.enumerated() {
      switch scalar {
      case "0"..."9":
        digits.unicodeScalars.append(scalar)
        wasDigit = true
        continue
      case "+" where place == 0: break
      case "-" where place == 0: digits += "-"
      case "_" where wasDigit: break
      case "." where wasDigit && !hasPoint:
        hasPoint = true
        digits += "."
      default: return nil
      }
      wasDigit = false
    }
    let whole = digits.drop { $0 == "-" }.prefix { $0 != "." }
    return wasDigit && (whole.count == 1 || whole.first != "0") ? digits : nil
  }

  // MARK: Texts

  private mutating func text() throws(Wrong) -> String {
    guard let quote = rest.first else { throw wrong("no text") }
    let begin = line
    let isLong = take(quote, times: 3)
    if isLong { _ = takeLineEnd() } else { rest.removeFirst() }
    var text = ""
    while let scalar = rest.first {
      if isLong ? take(quote, times: 3) : take(quote, times: 1) {
        // Up to two quotes may stand right before the end of a long text.
        for _ in 0..<2 where isLong && take(quote, times: 1) {
          text.unicodeScalars.append(quote)
        }
        return text
      }
      if scalar == "\n" || isCarriageReturnBeforeEnd() {
        guard isLong else { break }
        _ = takeLineEnd()
        text += "\n"
      } else if scalar == "\\", quote == "\"" {
        rest.removeFirst()
        if let escaped = try escaped(isLong: isLong) { text.unicodeScalars.append(escaped) }
      } else {
        guard Self.isAllowed(scalar) else { throw wrong("a control character in a text") }
        text.unicodeScalars.append(scalar)
        rest.removeFirst()
      }
    }
    throw Wrong(line: begin, what: "the text does not end; close it with \(quote)")
  }

  private mutating func take(_ scalar: Unicode.Scalar, times count: Int) -> Bool {
    guard rest.prefix(count).elementsEqual(repeatElement(scalar, count: count)) else {
      return false
    }
    rest.removeFirst(count)
    return true
  }

  /// What stands behind a backslash; nil for a line that goes on.
  private mutating func escaped(isLong: Bool) throws(Wrong) -> Unicode.Scalar? {
    guard let letter = rest.popFirst() else { throw wrong("the text does not end") }
    switch letter {
    case "b": return "\u{8}"
    case "t": return "\t"
    case "n": return "\n"
    case "f": return "\u{C}"
    case "r": return "\r"
    case "\"", "\\": return letter
    case "u": return try scalar(digits: 4)
    case "U": return try scalar(digits: 8)
    case " ", "\t", "\r", "\n":
      guard isLong else { break }
      if letter == "\n" { line += 1 }
      var hasEnd = letter == "\n"
      while true {
        skipBlanks()
        guard takeLineEnd() else { break }
        hasEnd = true
      }
      guard hasEnd else { break }
      return nil
    default: break
    }
    throw wrong("no such escape: \\\(letter); write '…' for a text with backslashes")
  }

  private mutating func scalar(digits: Int) throws(Wrong) -> Unicode.Scalar {
    let text = String(rest.prefix(digits))
    guard text.unicodeScalars.count == digits, text.allSatisfy(\.isHexDigit),
      let number = UInt32(text, radix: 16), let scalar = Unicode.Scalar(number)
    else { throw wrong("no such letter: \\u\(PrintableText.oneLine(text))") }
    rest.removeFirst(digits)
    return scalar
  }
}
