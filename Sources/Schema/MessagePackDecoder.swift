/// MessagePack to JSON, by the specification at msgpack.org.
///
/// Numbers, strings, arrays and maps keep their values and order; binary becomes base64. What JSON
/// cannot say (NaN, infinities, extension types, keys that are neither strings nor whole numbers) is
/// an error.
struct MessagePackDecoder {
  private static let maxDepth = 64

  private let input: UnsafeRawBufferPointer
  private let maxBytes: Int
  private var place = 0
  private var output: [UInt8] = []

  static func json(
    _ input: UnsafeRawBufferPointer,
    maxBytes: Int
  ) throws(DecodeError) -> [UInt8] {
    var decoder = MessagePackDecoder(input: input, maxBytes: maxBytes)
    try decoder.value(depth: 0)
    guard decoder.place == input.count else {
      throw .notReadable("something follows the MessagePack value, at byte \(decoder.place)")
    }
    return decoder.output
  }

  private init(input: UnsafeRawBufferPointer, maxBytes: Int) {
    self.input = input
    self.maxBytes = maxBytes
    output.reserveCapacity(min(maxBytes, input.count))
  }

  // MARK: Values

  private mutating func value(depth: Int) throws(DecodeError) {
    guard depth <= Self.maxDepth else {
      throw .tooLarge("its values are nested more than \(Self.maxDepth) deep")
    }
    let mark = try byte()
    switch mark {
    case 0x00...0x7F: try write(String(mark))
    case 0x80...0x8F: try map(count: Int(mark & 0x0F), depth)
    case 0x90...0x9F: try array(count: Int(mark & 0x0F), depth)
    case 0xA0...0xBF: try string(count: Int(mark & 0x1F))
    case 0xC0: try write("null")
    case 0xC2: try write("false")
    case 0xC3: try write("true")
    case 0xC4: try binary(count: Int(try number(UInt8.self)))
    case 0xC5: try binary(count: Int(try number(UInt16.self)))
    case 0xC6: try binary(count: Int(try number(UInt32.self)))
    case 0xCA: try float(Double(Float(bitPattern: try number(UInt32.self))))
    case 0xCB: try float(Double(bitPattern: try number(UInt64.self)))
    case 0xCC...0xD3: try write(try wholeNumber(mark))
    case 0xD9: try string(count: Int(try number(UInt8.self)))
    case 0xDA: try string(count: Int(try number(UInt16.self)))
    case 0xDB: try string(count: Int(try number(UInt32.self)))
    case 0xDC: try array(count: Int(try number(UInt16.self)), depth)
    case 0xDD: try array(count: Int(try number(UInt32.self)), depth)
    case 0xDE: try map(count: Int(try number(UInt16.self)), depth)
    case 0xDF: try map(count: Int(try number(UInt32.self)), depth)
    case 0xE0...0xFF: try write(String(Int8(bitPattern: mark)))
    default:
      throw .notReadable(
        "an extension type at byte \(place - 1), which JSON has no word for"
      )
    }
  }

  private mutating func wholeNumber(_ mark: UInt8) throws(DecodeError) -> String {
    switch mark {
    case 0xCC: String(try number(UInt8.self))
    case 0xCD: String(try number(UInt16.self))
    case 0xCE: String(try number(UInt32.self))
    case 0xCF: String(try number(UInt64.self))
    case 0xD0: String(try number(Int8.self))
    case 0xD1: String(try number(Int16.self))
    case 0xD2: String(try number(Int32.self))
    default: String(try number(Int64.self))
    }
  }

  private mutating func float(_ number: Double) throws(DecodeError) {
    guard number.isFinite else { throw .notReadable("\(number), which JSON has no word for") }
    try write("\(number)")
  }

  private mutating func array(count: Int, _ depth: Int) throws(DecodeError) {
    try write("[")
    for element in 0..<count {
      if element > 0 { try write(",") }
      try value(depth: depth + 1)
    }
    try write("]")
  }

  private mutating func map(count: Int, _ depth: Int) throws(DecodeError) {
    try write("{")
    for entry in 0..<count {
      if entry > 0 { try write(",") }
      try key()
      try write(":")
      try value(depth: depth + 1)
    }
    try write("}")
  }

  private mutating func key() throws(DecodeError) {
    let mark = try byte()
    switch mark {
    case 0xA0...0xBF: try string(count: Int(mark & 0x1F))
    case 0xD9: try string(count: Int(try number(UInt8.self)))
    case 0xDA: try string(count: Int(try number(UInt16.self)))
    case 0xDB: try string(count: Int(try number(UInt32.self)))
    case 0x00...0x7F: try write("\"\(mark)\"")
    case 0xE0...0xFF: try write("\"\(Int8(bitPattern: mark))\"")
    case 0xCC...0xD3: try write("\"\(try wholeNumber(mark))\"")
    default: throw .notReadable("a key at byte \(place - 1) is neither text nor a whole number")
    }
  }

  // MARK: Bytes in

  private mutating func byte() throws(DecodeError) -> UInt8 {
    guard place < input.count else { throw .notReadable("its MessagePack ends early") }
    defer { place += 1 }
    return input[place]
  }

  private mutating func number<Number: FixedWidthInteger>(
    _ type: Number.Type
  ) throws(DecodeError) -> Number {
    let bytes = try take(MemoryLayout<Number>.size)
    return Number(bigEndian: bytes.loadUnaligned(as: Number.self))
  }

  private mutating func take(_ count: Int) throws(DecodeError) -> UnsafeRawBufferPointer {
    guard count <= input.count - place else { throw .notReadable("its MessagePack ends early") }
    defer { place += count }
    return UnsafeRawBufferPointer(rebasing: input[place..<place + count])
  }

  // MARK: Text out

  private mutating func write(_ text: String) throws(DecodeError) {
    guard text.utf8.count <= maxBytes - output.count else { throw tooLarge }
    output += text.utf8
  }

  private var tooLarge: DecodeError { .tooLarge("its JSON takes more than \(maxBytes) bytes") }

  private mutating func string(count: Int) throws(DecodeError) {
    let bytes = try take(count)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw .notReadable("a text before byte \(place) is not UTF-8")
    }
    try write("\"")
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""): try write("\\\"")
      case UInt8(ascii: "\\"): try write("\\\\")
      case 0x0A: try write("\\n")
      case 0x09: try write("\\t")
      case 0x0D: try write("\\r")
      case 0x00..<0x20:
        try write("\\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16))
      default:
        guard output.count < maxBytes else { throw tooLarge }
        output.append(byte)
      }
    }
    try write("\"")
  }

  private mutating func binary(count: Int) throws(DecodeError) {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    let bytes = try take(count)
    guard (count + 2) / 3 * 4 + 2 <= maxBytes - output.count else { throw tooLarge }
    try write("\"")
    for start in stride(from: 0, to: count, by: 3) {
      var bits: UInt32 = 0
      for offset in 0..<3 {
        bits = bits << 8 | (start + offset < count ? UInt32(bytes[start + offset]) : 0)
      }
      for digit in 0..<4 {
        let isFilled = start + digit <= count
        let value = Int(bits >> (18 - 6 * UInt32(digit)) & 0x3F)
        output.append(isFilled ? digits[value] : UInt8(ascii: "="))
      }
    }
    try write("\"")
  }
}
