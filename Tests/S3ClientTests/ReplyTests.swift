import S3Client
import Testing

@Suite struct ReplyTests {
  @Test("Content-Range is read, and nothing like it")
  func contentRange() {
    #expect(ContentRange("bytes 0-9/10")?.range == 0..<10)
    #expect(ContentRange("Bytes 5-5/*")?.total == nil)
    let odd = [
      "", "bytes", "bytes */10", "bytes 0-10/10", "bytes 9-0/10", "bytes -1-2/10", "bytes 0-9",
      "bytes +0-9/10", "items 0-9/10", "bytes 0-9223372036854775807/9223372036854775807",
      "bytes 0-9223372036854775807/*", "bytes 0-99999999999999999999/*", "bytes 0-9/10 x",
    ]
    for text in odd { #expect(ContentRange(text) == nil, "\(text)") }
  }

  @Test("heads are read without trust")
  func heads() throws {
    let head = try #require(
      ReplyHead(Array("HTTP/1.1 206 Partial\r\nETag:  \"x\" \r\nno colon\r\nA:b:c\r\n\r\n".utf8))
    )
    #expect(head.status == 206 && head["etag"] == "\"x\"" && head["a"] == "b:c" && head["b"] == nil)
    for text in [
      "", "HTTP/1.1", "HTTP/1.1 x", "HTTP/1.1 99", "ICY 200 OK", "HTTP/1.1 99999999999999999999",
    ] {
      #expect(ReplyHead(Array(text.utf8)) == nil, "\(text)")
    }
  }

  @Test("times are spelled and read as HTTP, S3 and signatures have them")
  func times() {
    #expect(CalendarTime(seconds: 0).compact == "19700101T000000Z")
    #expect(CalendarTime(seconds: 951_868_799).compact == "20000229T235959Z")
    #expect(CalendarTime(seconds: -1).compact == "19691231T235959Z")
    #expect(CalendarTime(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT")?.seconds == 784_111_777)
    #expect(CalendarTime(iso8601: "1994-11-06T08:49:37.123Z")?.seconds == 784_111_777)
    for text in ["", "now", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT"] {
      #expect(CalendarTime(httpDate: text) == nil)
    }
    #expect(CalendarTime(iso8601: "1994-13-06T08:49:37Z") == nil)
    #expect(CalendarTime(iso8601: "99999999999999999999-01-06T08:49:37Z") == nil)
  }

  @Test("names are percent-encoded for signatures, repaired for users' URLs, and decoded")
  func percent() {
    let bytes = Array("a b+c%/\u{E9}~#?".utf8)
    let encoded = PercentEncoding.encoded(bytes, keepingSlash: false)
    #expect(encoded == "a%20b%2Bc%25%2F%C3%A9~%23%3F")
    #expect(PercentEncoding.decoded(encoded.utf8, plusIsSpace: false) == bytes)
    #expect(PercentEncoding.decoded("a+b%2B".utf8, plusIsSpace: true) == Array("a b+".utf8))
    #expect(PercentEncoding.decoded("%4".utf8, plusIsSpace: true) == nil)
    #expect(PercentEncoding.repaired("a b%20%zz%4#".utf8) == "a%20b%20%25zz%254%23")
  }

  @Test("URLs are taken apart, and odd ones refused")
  func urls() throws {
    let url = try #require(WebURL("HTTP://Host.Example:8080/a b?q=1&r=%41"))
    #expect(url.text == "http://host.example:8080/a%20b?q=1&r=%41")
    #expect(WebURL("https://[::1]/x")?.server.authority == "[::1]")
    #expect(WebURL("http://h")?.path == "/")
    for text in [
      "", "http:/h", "ftp://h/", "http://a b/", "http://u@h/", "http://h:99999/", "http://h:/",
    ] {
      #expect(WebURL(text) == nil, "\(text)")
    }
  }
}
