import Schema
import Testing

/// Decodes by a rule as the mount does.
func decode(_ bytes: [UInt8], _ format: String, maxBytes: Int = 1 << 20) throws -> [UInt8] {
  let rule = try SchemaRule(parsing: "field=" + format)
  let decoder = try FieldDecoder(rule.format, maxBytes: maxBytes)
  return try bytes.withUnsafeBytes { try decoder.decode($0) }
}

func decode(_ text: String, _ format: String, maxBytes: Int = 1 << 20) throws -> [UInt8] {
  try decode(Array(text.utf8), format, maxBytes: maxBytes)
}

/// A `.npy` file taken apart.
struct ArrayFile {
  let header: String
  let data: [UInt8]

  init(_ bytes: [UInt8]) throws {
    #expect(bytes.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
    let end = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
    try #require(end <= bytes.count)
    #expect(end % 64 == 0)
    #expect(bytes[end - 1] == UInt8(ascii: "\n"))
    let text = String(decoding: bytes[10..<end], as: UTF8.self)
    header = String(text.prefix { $0 != "}" })
    data = Array(bytes[end...])
  }

  func says(_ type: String, _ shape: String) -> Bool {
    header == "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), "
  }

  var wholes: [Int64] { numbers().map { Int64(bitPattern: $0) } }
  var fractions: [Double] { numbers().map { Double(bitPattern: $0) } }

  private func numbers() -> [UInt64] {
    stride(from: 0, to: data.count, by: 8).map { start in
      data[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }
}

/// Numbers, JSON, MessagePack, compressed fields and text, in bytes.
@Suite struct FieldDecoderTests {
  // MARK: Numbers

  @Test(
    "A number in text becomes an array without dimensions",
    arguments: ["417\n", " +417", "0417"]
  )
  func wholeNumber(text: String) throws {
    let array = try ArrayFile(decode(text, "npy"))
    #expect(array.says("<i8", "()"))
    #expect(array.wholes == [417])
  }

  @Test("A number with a fraction or exponent becomes a float")
  func fraction() throws {
    let array = try ArrayFile(decode("-2.5e3\n", "npy"))
    #expect(array.says("<f8", "()"))
    #expect(array.fractions == [-2500])
  }

  @Test(
    "What is no number, or loses some of itself, is refused",
    arguments: [
      "", " ", "cat", "1 2", "0x10", "nan", "1e999", "9223372036854775808", "--1", "1.2.3",
    ]
  )
  func noNumber(text: String) {
    #expect(throws: DecodeError.self) { try decode(text, "npy") }
  }

  // MARK: JSON arrays

  @Test("Arrays of whole numbers, of fractions and of booleans keep their shape")
  func arrays() throws {
    let whole = try ArrayFile(decode(" [[1, -2, 3],\n [4, 5, 9223372036854775807]]\n", "npy"))
    #expect(whole.says("<i8", "(2, 3)"))
    #expect(whole.wholes == [1, -2, 3, 4, 5, .max])
    let mixed = try ArrayFile(decode("[1, 2.5, -3e-1]", "npy"))
    #expect(mixed.says("<f8", "(3,)"))
    #expect(mixed.fractions == [1, 2.5, -0.3])
    let flags = try ArrayFile(decode("[[true],[false]]", "npy"))
    #expect(flags.says("|b1", "(2, 1)"))
    #expect(flags.data == [1, 0])
    #expect(try ArrayFile(decode("[]", "npy")).says("<f8", "(0,)"))
    #expect(try ArrayFile(decode("[[], []]", "npy")).says("<f8", "(2, 0)"))
  }

  @Test(
    "An array of which something would be lost is refused",
    arguments: [
      "[1, [2]]", "[[1], 2]", "[[1, 2], [3]]", "[[], 1]", "[[], [[]]]", "[1, true]", "[null]",
      "[\"a\"]", "[1,]", "[1", "[01]", "[1] 2", "[9223372036854775808]", "[0.5, 9007199254740993]",
      "[9007199254740993, 0.5]", "[1e999]", "{\"a\": 1}", "[[1], []]",
    ]
  )
  func lossyArray(text: String) {
    #expect(throws: DecodeError.self) { try decode(text, "npy") }
  }

  @Test("Nesting and elements have a limit")
  func arrayLimits() throws {
    let deep = String(repeating: "[", count: 100_000)
    #expect(throws: DecodeError.tooLarge("its arrays are nested more than 32 deep")) {
      try decode(deep, "npy")
    }
    let long = "[" + String(repeating: "1,", count: 100) + "1]"
    #expect(throws: DecodeError.tooLarge("it has more than 100 elements")) {
      try decode(long, "npy", maxBytes: 800)
    }
    _ = try decode(long, "npy", maxBytes: 808)
  }

  // MARK: MessagePack

  @Test("MessagePack becomes JSON with the same values in the same order")
  func messagePack() throws {
    let ends = Array("\"\\\n\u{1}".utf8)
    let input: [UInt8] =
      [0x84, 0xA1, 0x61, 0x97, 1, 0xFF, 0xCD, 1, 0x2C, 0xCB, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0xC0]
      + [0xC3, 0xCF] + [UInt8](repeating: 0xFF, count: 8) + [0xA1, 0x62, 0xC4, 4, 1, 2, 3, 4]
      + [7, 0xA4] + ends + [0xD0, 0x80, 0xCA, 0x3D, 0xCC, 0xCC, 0xCD]
    let json = String(decoding: try decode(input, "json"), as: UTF8.self)
    let expected =
      #"{"a":[1,-1,300,1.5,null,true,18446744073709551615],"b":"AQIDBA==","#
      + #""7":"\"\\\n\u0001","-128":0.10000000149011612}"#
    #expect(json == expected)
  }

  @Test(
    "What JSON has no word for, and what ends early, is refused",
    arguments: [
      [], [0xC1], [0xD4, 1, 2], [0xCB, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0], [0x81, 0xC0, 1], [0x92, 1],
      [0xDF, 0xFF, 0xFF, 0xFF, 0xFF], [0xDB, 0xFF, 0xFF, 0xFF, 0xFF], [1, 2], [0xA1, 0xFF],
    ] as [[UInt8]]
  )
  func badMessagePack(input: [UInt8]) {
    #expect(throws: DecodeError.self) { try decode(input, "json") }
  }

  @Test("MessagePack is nested only so deep, and its JSON only so long")
  func messagePackLimits() {
    let deep = [UInt8](repeating: 0x91, count: 100_000)
    #expect(throws: DecodeError.tooLarge("its values are nested more than 64 deep")) {
      try decode(deep, "json")
    }
    // Four thousand million nulls are declared, and as many as fit are written.
    let long: [UInt8] = [0xDD, 0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0xC0, count: 1000)
    #expect(throws: DecodeError.tooLarge("its JSON takes more than 100 bytes")) {
      try decode(long, "json", maxBytes: 100)
    }
  }

  // MARK: Compressed, and text

  @Test("A compressed field is told by its first bytes, whatever it is called")
  func gzip() throws {
    // Of "hello\n", by gzip -n.
    let input: [UInt8] = [
      0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0xE7, 0x02, 0, 0x20,
      0x30, 0x3A, 0x36, 0x06, 0, 0, 0,
    ]
    #expect(try decode(input, "raw") == Array("hello\n".utf8))
    #expect(throws: DecodeError.self) { try decode(input, "raw", maxBytes: 5) }
    #expect(throws: DecodeError.self) { try decode(Array(input.dropLast()), "raw") }
    #expect(throws: DecodeError.self) { try decode(input + [1, 2, 3], "raw") }
    #expect(throws: DecodeError.self) { try decode("hello\n", "raw") }
  }

  @Test("Text stays as it is if it is UTF-8, and is refused if it is not")
  func text() throws {
    #expect(try decode("naïve ✓\n", "txt") == Array("naïve ✓\n".utf8))
    #expect(try decode("", "txt").isEmpty)
    for bad in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]] {
      #expect(throws: DecodeError.notReadable("it is not UTF-8")) { try decode(bad, "txt") }
    }
  }
}
