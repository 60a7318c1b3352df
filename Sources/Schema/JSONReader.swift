/// Reads numbers and booleans of JSON text, one after the other (RFC 8259).
struct JSONReader {
  enum Scalar {
    case bool(Bool)
    case whole(Int64)
    case fraction(Double)
  }

  private let text: UnsafeRawBufferPointer
  private var place = 0

  init(_ text: UnsafeRawBufferPointer) {
    self.text = text
  }

  var isAtEnd: Bool { place == text.count }

  static func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
  }

  mutating func skipBlanks() {
    while place < text.count, Self.isBlank(text[place]) { place += 1 }
  }

  /// Goes beyond a character if it is next.
  mutating func take(_ byte: UInt8) -> Bool {
    guard place < text.count, text[place] == byte else { return false }
    place += 1
    return true
  }

  var unexpected: DecodeError {
    place < text.count
      ? .notReadable("it is no JSON array of numbers: see byte \(place)")
      : .notReadable("its JSON ends early")
  }

  mutating func scalar() throws(DecodeError) -> Scalar {
    if takeWord("true") { return .bool(true) }
    if takeWord("false") { return .bool(false) }
    let start = place
    _ = take(UInt8(ascii: "-"))
    let first = place
    guard takeDigits() else { throw unexpected }
    if text[first] == UInt8(ascii: "0"), place - first > 1 { throw unexpected }
    var isWhole = true
    if take(UInt8(ascii: ".")) {
      isWhole = false
      guard takeDigits() else { throw unexpected }
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isWhole = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      guard takeDigits() else { throw unexpected }
    }
    let digits = String(decoding: text[start..<place], as: UTF8.self)
    if isWhole {
      guard let number = Int64(digits) else {
        throw .notReadable("a number does not fit in 64 bits: \(digits.prefix(40))")
      }
      return .whole(number)
    }
    guard let number = Double(digits), number.isFinite else {
      throw .notReadable("a number does not fit in a float: \(digits.prefix(40))")
    }
    return .fraction(number)
  }

  private mutating func takeDigits() -> Bool {
    let start = place
    while place < text.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(text[place]) {
      place += 1
    }
    return place > start
  }

  private mutating func takeWord(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard text.count - place >= count else { return false }
    for index in 0..<count where text[place + index] != word.utf8Start[index] { return false }
    place += count
    return true
  }
}
