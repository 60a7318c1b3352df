/// Numbers and arrays of numbers in text, to `.npy`.
enum NumberDecoder {
  /// More digits than any number of 64 bits has use for.
  private static let maxNumberBytes = 400

  /// One number, as `cls` and `index` fields hold it, with blanks around.
  ///
  /// - Returns: An array without dimensions: `<i8` for a whole number, else `<f8`.
  static func number(_ text: UnsafeRawBufferPointer) throws(DecodeError) -> [UInt8] {
    var text = text[...]
    while let first = text.first, JSONReader.isBlank(first) { text = text.dropFirst() }
    while let last = text.last, JSONReader.isBlank(last) { text = text.dropLast() }
    guard !text.isEmpty else { throw .notReadable("it is empty, and no number") }
    guard text.count <= maxNumberBytes, text.allSatisfy(isOfNumber) else {
      throw .notReadable("it is neither an image nor a number nor a JSON array")
    }
    let digits = String(decoding: text, as: UTF8.self)
    if let number = Int64(digits) {
      return ArrayHeader.array(.int64, shape: [], [number])
    }
    // A whole number that does not fit would lose digits as a float.
    guard text.contains(where: { isOfFraction($0) }) else {
      throw .notReadable("the number does not fit in 64 bits, or is none: '\(digits.prefix(40))'")
    }
    guard let number = Double(digits), number.isFinite else {
      throw .notReadable("it is no number that a float can hold: '\(digits.prefix(40))'")
    }
    return ArrayHeader.array(.float64, shape: [], [number.bitPattern])
  }

  private static func isOfNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"): true
    default: isOfFraction(byte)
    }
  }

  private static func isOfFraction(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ".") || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E")
  }

  /// A JSON array of numbers or of booleans, nested or not, of which nothing may be lost.
  ///
  /// - Returns: Of whole numbers `<i8`; of numbers of which one has a fraction or exponent `<f8`, if
  ///   the whole ones among them are exact there; of booleans `|b1`.
  static func array(
    _ text: UnsafeRawBufferPointer,
    maxBytes: Int
  ) throws(DecodeError) -> [UInt8] {
    var reader = JSONReader(text)
    var array = RectangularArray(maxCount: maxBytes / 8)
    try array.read(&reader, depth: 0)
    reader.skipBlanks()
    guard reader.isAtEnd else { throw .notReadable("something follows the JSON array") }
    return array.encoded
  }
}

/// Elements in order, and the shape that they have in common.
private struct RectangularArray {
  private enum Kind {
    case bool, whole, fraction
  }

  /// NumPy has no more.
  private static let maxDepth = 32

  /// Whole numbers up to here are exact as floats.
  private static let maxExact: Int64 = 1 << 53

  let maxCount: Int
  private var kind: Kind?
  private var wholes: [Int64] = []
  private var fractions: [Double] = []

  /// The count of each depth's arrays; nil while the first of them is open.
  private var shape: [Int?] = []
  private var elementDepth: Int?
  private var hasInexact = false

  init(maxCount: Int) {
    self.maxCount = maxCount
  }

  mutating func read(_ reader: inout JSONReader, depth: Int) throws(DecodeError) {
    reader.skipBlanks()
    guard reader.take(UInt8(ascii: "[")) else { return try readElement(&reader, depth: depth) }
    guard depth < Self.maxDepth else {
      throw .tooLarge("its arrays are nested more than \(Self.maxDepth) deep")
    }
    if let elementDepth, depth >= elementDepth { throw Self.ragged }
    if shape.count == depth { shape.append(nil) }
    var count = 0
    reader.skipBlanks()
    if !reader.take(UInt8(ascii: "]")) {
      repeat {
        try read(&reader, depth: depth + 1)
        count += 1
        reader.skipBlanks()
      } while reader.take(UInt8(ascii: ","))
      guard reader.take(UInt8(ascii: "]")) else { throw reader.unexpected }
    }
    if let known = shape[depth], known != count { throw Self.ragged }
    shape[depth] = count
  }

  private mutating func readElement(
    _ reader: inout JSONReader,
    depth: Int
  ) throws(DecodeError) {
    if let elementDepth, depth != elementDepth { throw Self.ragged }
    guard shape.count == depth else { throw Self.ragged }
    elementDepth = depth
    guard wholes.count + fractions.count < maxCount else {
      throw .tooLarge("it has more than \(maxCount) elements")
    }
    switch try reader.scalar() {
    case .bool(let value):
      try become(.bool)
      wholes.append(value ? 1 : 0)
    case .whole(let number):
      if kind == .fraction {
        note(number)
        fractions.append(Double(number))
      } else {
        try become(.whole)
        note(number)
        wholes.append(number)
      }
    case .fraction(let number):
      try become(.fraction)
      fractions.append(number)
    }
    if kind == .fraction, hasInexact {
      throw .notReadable("a whole number beside fractions is too large to be exact as a float")
    }
  }

  private mutating func note(_ number: Int64) {
    if number.magnitude > Self.maxExact.magnitude { hasInexact = true }
  }

  private mutating func become(_ new: Kind) throws(DecodeError) {
    switch (kind, new) {
    case (nil, _), (.bool, .bool), (.whole, .whole), (.fraction, .fraction): kind = new
    case (.whole, .fraction):
      kind = new
      fractions = wholes.map { Double($0) }
      wholes = []
    default: throw .notReadable("it mixes booleans and numbers")
    }
  }

  private static var ragged: DecodeError {
    .notReadable("its arrays differ in length or depth")
  }

  var encoded: [UInt8] {
    let shape = shape.map { $0 ?? 0 }
    switch kind {
    case .bool: return ArrayHeader(type: .bool, shape: shape).bytes + wholes.map { UInt8($0) }
    case .whole: return ArrayHeader.array(.int64, shape: shape, wholes)
    // As NumPy takes an empty list.
    case .fraction, nil:
      return ArrayHeader.array(.float64, shape: shape, fractions.map(\.bitPattern))
    }
  }
}
