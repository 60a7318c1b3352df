import Testing
import WDSFS

@Suite struct TOMLReaderTests {
  @Test func keysAndValuesOfEveryKind() throws {
    let text = #"""
      # a comment
      cache-size = "200GB"  # behind a value

      'quoted key'='C:\literal'
      "k\u0041" = "tab\tquote\"\u00e9\U0001F600"
      world-size = 8
      big = 1_000
      minus = -5
      ratio = +0.5
      on = true
      off=false
      list = [
        "a", 'b',  # one
        # another
        [ 1, true, ], ]
      empty = []
      """#
    let entries = try TOMLReader.entries(of: text)
    #expect(
      entries.map(\.key) == [
        "cache-size", "quoted key", "kA", "world-size", "big", "minus", "ratio", "on", "off",
        "list",
        "empty",
      ]
    )
    #expect(entries.map(\.line) == [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16])
    #expect(
      entries.map(\.value) == [
        .text("200GB"), .text(#"C:\literal"#), .text("tab\tquote\"é😀"), .number("8"),
        .number("1000"), .number("-5"), .number("0.5"), .flag(true), .flag(false),
        .list([.text("a"), .text("b"), .list([.number("1"), .flag(true)])]), .list([]),
      ]
    )
  }

  @Test func longTexts() throws {
    let text = "a = \"\"\"\none\\\n   two \\u0041\n\"\"\"\"\"\r\nb = '''x\n'y''''\nc = \"\"\n"
    let entries = try TOMLReader.entries(of: text)
    #expect(entries.map(\.value) == [.text("onetwo A\n\"\""), .text("x\n'y'"), .text("")])
    #expect(entries.map(\.line) == [1, 5, 7])
  }

  @Test("empty documents", arguments: ["", "\n", "# only this", "\u{FEFF}", " \t\r\n"])
  func nothing(_ text: String) throws {
    #expect(try TOMLReader.entries(of: text).isEmpty)
  }

  @Test(
    "What is wrong is said with its line",
    arguments: [
      ("a = 1\n[cache]\n", 2, "no tables"), ("a.b = 1", 1, "dotted"), ("\n\na", 3, "no '='"),
      ("= 1", 1, "NAME = VALUE"), ("a = ", 1, "no value"), ("a = 10GB", 1, "write \"10GB\""),
      ("a = 1 b = 2", 1, "one option a line"), ("a = 1\na = 2", 2, "line 1 already"),
      ("a = \"x", 1, "does not end"), ("a = \"x\ny\"", 1, "does not end"),
      ("a = '''x\n\n", 1, "does not end"), ("a = [1,\n 2", 2, "does not end"),
      ("a = [1 2]", 1, "does not end"), ("a = {b = 1}", 1, "no tables"),
      ("a = \"\\x\"", 1, "no such escape"), ("a = \"\\uD800\"", 1, "no such letter"),
      ("a = \"\\u12\"", 1, "no such letter"), ("a = \"\u{1}\"", 1, "control"),
      ("# \u{7F}", 1, "control"), ("a = 01", 1, "quotes"), ("a = 1__0", 1, "quotes"),
      ("a = 1_", 1, "quotes"), ("a = 1.", 1, "quotes"), ("a = 2026-01-01", 1, "quotes"),
      ("a = [[[[[1]]]]]", 1, "too many arrays"), ("a = yes", 1, "quotes"),
      ("a = 1\rb = 2", 1, "one option a line"),
    ]
  )
  func wrong(_ text: String, _ line: Int, _ words: String) throws {
    let wrong = try #require(throws: TOMLReader.Wrong.self) { try TOMLReader.entries(of: text) }
    #expect(wrong.line == line)
    #expect(wrong.what.contains(words), "\(wrong.what)")
  }

  @Test func noTextTrapsIt() {
    // Every piece of a document with all its forms, and every letter of it changed.
    let whole =
      "a = \"\\u0041\\\"\"\r\n'b' = [1_0, [true, '''\nx'''], ]\nc = \"\"\"\\\n y\"\"\"\"\n"
    let letters = Array(whole.unicodeScalars)
    for place in letters.indices {
      for other in ["", "\"", "'", "\\", "[", "]", "\n", "=", "u", ",", "."] {
        var text = String.UnicodeScalarView(letters[..<place])
        text.append(contentsOf: other.unicodeScalars)
        _ = try? TOMLReader.entries(of: String(text))
        text.append(contentsOf: letters[(place + 1)...])
        _ = try? TOMLReader.entries(of: String(text))
      }
    }
  }
}
