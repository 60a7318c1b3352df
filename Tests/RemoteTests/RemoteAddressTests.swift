import Remote
import Testing

@Suite struct RemoteAddressTests {
  @Test("each kind of remote is read, and an s3 one literally")
  func kinds() throws {
    #expect(try RemoteAddress(parsing: "s3://b") == .s3(bucket: "b", prefix: []))
    #expect(try RemoteAddress(parsing: "S3://b/") == .s3(bucket: "b", prefix: []))
    #expect(
      try RemoteAddress(parsing: "s3://b.c/a%20b?x#y/z")
        == .s3(bucket: "b.c", prefix: Array("a%20b?x#y/z/".utf8))
    )
    #expect(try RemoteAddress(parsing: "s3://b//x") == .s3(bucket: "b", prefix: Array("/x/".utf8)))
    #expect(try RemoteAddress(parsing: "/a/b//") == .directory(path: "/a/b"))
    #expect(try RemoteAddress(parsing: "/") == .directory(path: "/"))
    #expect(try RemoteAddress(parsing: "file:///a b%20") == .directory(path: "/a b%20"))
    guard
      case .web(let urls, _) = try RemoteAddress(
        parsing: "http://h/a-{1..2}.tar::https://[::1]:8/{x,y}.tar"
      )
    else {
      Issue.record("no web remote")
      return
    }
    #expect(
      urls.map { String(decoding: $0, as: UTF8.self) } == [
        "http://h/a-1.tar", "http://h/a-2.tar", "https://[::1]:8/x.tar", "https://[::1]:8/y.tar",
      ]
    )
  }

  @Test("what users call a remote shows no query and no odd bytes")
  func names() throws {
    #expect(try RemoteAddress(parsing: "s3://b/a/c/").displayName == "s3://b/a/c")
    #expect(try RemoteAddress(parsing: "s3://b/\u{1B}[2J").displayName == "s3://b/\\x1B[2J")
    #expect(
      try RemoteAddress(parsing: "http://h/x.tar?token=secret").displayName == "http://h/x.tar"
    )
  }

  @Test(
    "everything else is refused with a sentence",
    arguments: [
      "", "data", "./data", "s3://", "s3:///x", "s3://b@c/x", "s3://b?x", "s3://../x", "gs://b/x",
      "file://host/x", "http://h/{a", "http://h/a::/b", "http://h/{0..1000000}.tar", "/a\0b",
      "s3://b/\(String(repeating: "x", count: 1025))",
    ]
  )
  func refused(text: String) {
    do throws(StoreError) {
      Issue.record("taken: \(try RemoteAddress(parsing: text))")
    } catch {
      #expect(error.description.count > 20)
    }
  }

  @Test("names are printed without control characters, backslashes and broken UTF-8, and cut")
  func printable() {
    #expect(PrintableName.text("a\u{1B}\n\\\u{7F}\u{E9}".utf8) == "a\\x1B\\x0A\\x5C\\x7F\u{E9}")
    #expect(PrintableName.text([0xC3, 0x28, 0xFF, 0xE2, 0x82]) == "\\xC3(\\xFF\\xE2\\x82")
    #expect(PrintableName.text([UInt8](repeating: 120, count: 500)).utf8.count == 203)
    // Escapes count as they are printed, and no letter is cut in two.
    let escapes = String(repeating: "\\x01", count: 50)
    #expect(PrintableName.text([UInt8](repeating: 1, count: 50)) == escapes)
    #expect(PrintableName.text([UInt8](repeating: 1, count: 51)) == escapes + "…")
    let letters = "x" + String(repeating: "\u{E9}", count: 100)
    #expect(PrintableName.text(letters.utf8).utf8.count == 199 + "…".utf8.count)
  }
}
