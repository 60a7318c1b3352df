import Remote
import Testing

@Suite struct BracePatternTests {
  private func names(_ pattern: String) throws -> [String] {
    try BracePattern(pattern).names.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(
    "patterns expand as braceexpand does it (format page, section 2)",
    arguments: [
      ("a{000..002}", ["a000", "a001", "a002"]), ("{08..11}", ["08", "09", "10", "11"]),
      ("{3..1}", ["3", "2", "1"]), ("{0..10..5}", ["0", "5", "10"]),
      ("{0..2..0}", ["0", "1", "2"]),
      ("{0..4..-2}", ["0", "2", "4"]), ("{-1..1}", ["-1", "0", "1"]), ("{a..c}", ["a", "b", "c"]),
      ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]), ("{,a}", ["", "a"]),
      ("{a,{1..2}}", ["a", "1", "2"]),
      ("x{1}", ["x{1}"]), ("\\{1,2\\}", ["{1,2}"]), ("", [""]), ("{}", ["{}"]),
      ("{{1,2}}", ["{1}", "{2}"]), ("{-01..1}", ["-01", "000", "001"]), ("{1..1}", ["1"]),
      ("{c..a..2}", ["c", "a"]), ("{Z..a}", ["Z", "a"]), ("{0..2..99999999999999999999}", ["0"]),
      ("{a\\,b,c}", ["a,b", "c"]), ("a\\", ["a\\"]), ("{1..a}", ["{1..a}"]), ("}{", ["}{"]),
      (
        "{9223372036854775806..9223372036854775807}",
        ["9223372036854775806", "9223372036854775807"]
      ),
    ]
  )
  func expands(pattern: String, expected: [String]) throws {
    #expect(try names(pattern) == expected)
    #expect(try BracePattern(pattern).nameCount == expected.count)
  }

  @Test(
    "unbalanced braces, and what is too much, are refused before a name is made",
    arguments: [
      "a{b", "{1,2}}", "{", "}", "{1,{2}", "{a\\}", "{0..1000000}", "{0..999}{0..1000}",
      "{0..18446744073709551616}", "{-9223372036854775808..9223372036854775807}",
      String(repeating: "{0..9}", count: 100), String(repeating: "{", count: 100_000),
      String(repeating: "{a,", count: 100) + String(repeating: "}", count: 100),
      "{\(String(repeating: "0", count: 100_000))1..900000}",
    ]
  )
  func refused(pattern: String) {
    #expect(throws: StoreError.self) { try BracePattern(pattern) }
  }

  @Test("what stands for one thing alone costs nothing for each name")
  func manySingleParts() throws {
    // Put together part by part, these hundred names would be copied ten thousand times.
    let pattern = try BracePattern("{0..99}" + String(repeating: "{7..7}", count: 10_000))
    let ends = [UInt8](repeating: UInt8(ascii: "7"), count: 10_000)
    let isRight = pattern.names == (0..<100).map { Array("\($0)".utf8) + ends }
    #expect(isRight)
  }

  @Test("a million names are allowed")
  func limit() throws {
    #expect(try BracePattern("{000000..999999}").nameCount == 1_000_000)
    #expect(throws: StoreError.self) { try BracePattern("{0..4}".utf8, maxNames: 4) }
  }
}
