/// Reads the small XML that S3 speaks, an event at a time, and refuses everything else.
///
/// No document type, hence no entities but the five predefined ones and characters by number; no
/// processing instruction but the declaration at the start. Depth and text are bounded, so that no
/// document costs more than its own length (docs/reliability.md, X5). Attributes are checked and left out.
package struct XMLPullParser: ~Copyable {
  package static let maxDepth = 16
  package static let maxTextBytes = 4 * 1024

  package enum Event: Hashable, Sendable {
    case start(String)
    case text([UInt8])

    /// A text beyond the bound, of which nothing is kept.
    case longText
    case end(String)
  }

  /// What is wrong, and where.
  package struct Malformed: Error, Hashable, Sendable {
    package let detail: String
    package let offset: Int
  }

  private let bytes: [UInt8]
  private let maxTextBytes: Int
  private var place = 0
  private var open: [String] = []
  private var hasRoot = false
  private var pendingEnd: String?

  package init(_ bytes: [UInt8], maxTextBytes: Int = maxTextBytes) {
    self.bytes = bytes
    self.maxTextBytes = maxTextBytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { place = 3 }
  }

  /// The next event; nil at the document's end.
  ///
  /// Text comes in one piece between two tags, comments aside; blanks between tags are text too.
  package mutating func next() throws(Malformed) -> Event? {
    if let name = pendingEnd {
      pendingEnd = nil
      return .end(name)
    }
    guard let text = try characters() else { return .longText }
    if !text.isEmpty, !open.isEmpty { return .text(text) }
    guard place < bytes.count else {
      guard hasRoot, open.isEmpty else { throw failure("the document ends early") }
      return nil
    }
    return byte(at: place + 1) == UInt8(ascii: "/") ? try endTag() : try startTag()
  }

  // MARK: - Tags

  private mutating func startTag() throws(Malformed) -> Event {
    guard !(hasRoot && open.isEmpty) else { throw failure("something follows the root element") }
    place += 1
    let name = try self.name()
    while true {
      let hadBlank = skipBlanks()
      switch byte(at: place) {
      case UInt8(ascii: ">"):
        place += 1
        open.append(name)
      case UInt8(ascii: "/") where byte(at: place + 1) == UInt8(ascii: ">"):
        place += 2
        pendingEnd = name
      default:
        guard hadBlank else { throw failure("a tag is not closed") }
        try attribute()
        continue
      }
      break
    }
    hasRoot = true
    guard open.count <= Self.maxDepth else { throw failure("elements nest too deeply") }
    return .start(name)
  }

  private mutating func endTag() throws(Malformed) -> Event {
    place += 2
    let name = try self.name()
    skipBlanks()
    guard byte(at: place) == UInt8(ascii: ">"), open.popLast() == name else {
      throw failure("an end tag does not fit")
    }
    place += 1
    return .end(name)
  }

  private mutating func attribute() throws(Malformed) {
    _ = try name()
    skipBlanks()
    guard byte(at: place) == UInt8(ascii: "=") else { throw failure("an attribute has no value") }
    place += 1
    skipBlanks()
    guard let quote = byte(at: place), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
      let end = bytes[(place + 1)...].prefix(Self.maxTextBytes).firstIndex(of: quote),
      !bytes[place..<end].contains(UInt8(ascii: "<"))
    else { throw failure("an attribute's value is not quoted") }
    place = end + 1
  }

  /// A name without its namespace prefix.
  private mutating func name() throws(Malformed) -> String {
    let start = place
    let end = min(bytes.count, place + 256)
    while place < end, Self.isNameByte(bytes[place]) { place += 1 }
    guard place > start else { throw failure("a name is missing") }
    var name = bytes[start..<place]
    if let colon = name.firstIndex(of: UInt8(ascii: ":")) { name = name[(colon + 1)...] }
    return String(decoding: name, as: UTF8.self)
  }

  // MARK: - Text

  /// Text up to the next tag, with what comments and the declaration take out of it; nil if too long.
  private mutating func characters() throws(Malformed) -> [UInt8]? {
    var text: [UInt8] = []
    var isASCII = true
    var isTooLong = false
    while place < bytes.count {
      let start = place
      while place < bytes.count, Self.isPlain(bytes[place]) {
        if bytes[place] >= 0x80 { isASCII = false }
        place += 1
      }
      isTooLong = isTooLong || text.count + (place - start) > maxTextBytes
      if !isTooLong { text += bytes[start..<place] }
      guard place < bytes.count else { break }
      switch bytes[place] {
      case UInt8(ascii: "&"):
        let character = try reference()
        if !isTooLong { text += character }
        isASCII = false
      case UInt8(ascii: "<"):
        guard let more = try markup() else {
          return isTooLong ? try nothing() : try checked(text, isASCII: isASCII)
        }
        isTooLong = isTooLong || text.count + more.count > maxTextBytes
        if !isTooLong { text += more }
        isASCII = isASCII && more.isEmpty
      default: throw failure("a control character")
      }
    }
    return isTooLong ? try nothing() : try checked(text, isASCII: isASCII)
  }

  /// In place of a text that is too long.
  private func nothing() throws(Malformed) -> [UInt8]? {
    guard !open.isEmpty else { throw failure("a text outside of the root element") }
    return nil
  }

  /// The text within a comment, a CDATA section or the declaration; nil before a tag.
  private mutating func markup() throws(Malformed) -> ArraySlice<UInt8>? {
    if skip("<!--") {
      try skip(to: "-->")
      return []
    }
    if skip("<![CDATA[") {
      let start = place
      try skip(to: "]]>")
      return bytes[start..<(place - 3)]
    }
    if skip("<?xml") {
      guard !hasRoot else { throw failure("a declaration within the document") }
      try skip(to: "?>")
      return []
    }
    let next = byte(at: place + 1)
    guard next != UInt8(ascii: "!"), next != UInt8(ascii: "?") else {
      throw failure("a document type or an instruction, which are not allowed")
    }
    return nil
  }

  private func checked(_ text: [UInt8], isASCII: Bool) throws(Malformed) -> [UInt8] {
    guard !open.isEmpty || text.allSatisfy(Self.isBlank) else {
      throw failure("text outside of the root element")
    }
    guard isASCII || String(validating: text, as: UTF8.self) != nil else {
      throw failure("no UTF-8 text")
    }
    return text
  }

  private mutating func reference() throws(Malformed) -> [UInt8] {
    // The longest: &#x10FFFF;
    guard let end = bytes[place...].prefix(10).firstIndex(of: UInt8(ascii: ";")) else {
      throw failure("a reference does not end")
    }
    let name = String(decoding: bytes[(place + 1)..<end], as: UTF8.self)
    if let byte = Self.predefined(name) {
      place = end + 1
      return [byte]
    }
    let number =
      name.hasPrefix("#x")
      ? UInt32(name.dropFirst(2), radix: 16)
      : name.hasPrefix("#") ? UInt32(name.dropFirst(), radix: 10) : nil
    guard let number, number >= 0x20 || [9, 10, 13].contains(number),
      let scalar = UnicodeScalar(number)
    else { throw failure("a reference to something unknown") }
    place = end + 1
    return Array(String(Character(scalar)).utf8)
  }

  /// The five entities that need no declaration (XML 1.0, section 4.6).
  private static func predefined(_ name: String) -> UInt8? {
    switch name {
    case "amp": UInt8(ascii: "&")
    case "lt": UInt8(ascii: "<")
    case "gt": UInt8(ascii: ">")
    case "quot": UInt8(ascii: "\"")
    case "apos": UInt8(ascii: "'")
    default: nil
    }
  }

  // MARK: - Bytes

  private func byte(at place: Int) -> UInt8? {
    place < bytes.count ? bytes[place] : nil
  }

  private mutating func skip(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    let wanted = UnsafeBufferPointer(start: text.utf8Start, count: count)
    guard bytes[place...].prefix(count).elementsEqual(wanted) else { return false }
    place += count
    return true
  }

  private mutating func skip(to end: StaticString) throws(Malformed) {
    while place < bytes.count {
      if skip(end) { return }
      place += 1
    }
    throw failure("the document ends early")
  }

  @discardableResult
  private mutating func skipBlanks() -> Bool {
    let start = place
    while place < bytes.count, Self.isBlank(bytes[place]) { place += 1 }
    return place > start
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == 32 || byte == 9 || byte == 10 || byte == 13
  }

  /// Whether a byte is text that stands for itself.
  private static func isPlain(_ byte: UInt8) -> Bool {
    (byte >= 0x20 || isBlank(byte)) && byte != UInt8(ascii: "<") && byte != UInt8(ascii: "&")
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
      UInt8(ascii: "."), UInt8(ascii: ":"):
      true
    default: false
    }
  }

  private func failure(_ detail: String) -> Malformed {
    Malformed(detail: detail, offset: place)
  }
}
