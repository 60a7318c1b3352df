/// Reads the small XML that S3 speaks, an event at a time, and refuses everything else.
///
/// No document type, hence no entities but the five predefined ones and characters by number; no
/// processing instruction but the declaration at the start. Depth and text are bounded, so that no
/// document costs more than its own length (FAULTS.md, X5). Attributes are checked and left out.
package struct XMLPullParser: ~Copyable {
  package static let maxDepth = 16
  package static let maxTextBytes = 4 * 1024

  package enum Event: Hashable, Sendable {
    case start(String)
    case text([UInt8])
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
    let text = try characters()
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
    let name = bytes[place...].prefix(256).prefix { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
        UInt8(ascii: "."), UInt8(ascii: ":"):
        true
      default: false
      }
    }
    guard !name.isEmpty else { throw failure("a name is missing") }
    place = name.endIndex
    return String(decoding: name, as: UTF8.self)
  }

  // MARK: - Text

  /// Text up to the next tag, with what comments and the declaration take out of it.
  private mutating func characters() throws(Malformed) -> [UInt8] {
    var text: [UInt8] = []
    while let byte = byte(at: place) {
      if byte == UInt8(ascii: "<") {
        if skip("<!--") {
          try skip(to: "-->")
        } else if skip("<![CDATA[") {
          let start = place
          try skip(to: "]]>")
          text += bytes[start..<(place - 3)]
        } else if skip("<?xml") {
          guard !hasRoot else { throw failure("a declaration within the document") }
          try skip(to: "?>")
        } else if [UInt8(ascii: "!"), UInt8(ascii: "?")].contains(self.byte(at: place + 1)) {
          throw failure("a document type or an instruction, which are not allowed")
        } else {
          break
        }
      } else if byte == UInt8(ascii: "&") {
        text += try reference()
      } else {
        guard byte >= 0x20 || [9, 10, 13].contains(byte) else {
          throw failure("a control character")
        }
        text.append(byte)
        place += 1
      }
      guard text.count <= maxTextBytes else { throw failure("a text is too long") }
    }
    let isBlank = text.allSatisfy { [9, 10, 13, 32].contains($0) }
    guard isBlank || !open.isEmpty else { throw failure("text outside of the root element") }
    guard String(validating: text, as: UTF8.self) != nil else { throw failure("no UTF-8 text") }
    return text
  }

  private mutating func reference() throws(Malformed) -> [UInt8] {
    // The longest: &#x10FFFF;
    guard let end = bytes[place...].prefix(10).firstIndex(of: UInt8(ascii: ";")) else {
      throw failure("a reference does not end")
    }
    let name = String(decoding: bytes[(place + 1)..<end], as: UTF8.self)
    let named = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'"]
    if let text = named[name] {
      place = end + 1
      return Array(text.utf8)
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
    while let byte = byte(at: place), [9, 10, 13, 32].contains(byte) { place += 1 }
    return place > start
  }

  private func failure(_ detail: String) -> Malformed {
    Malformed(detail: detail, offset: place)
  }
}
