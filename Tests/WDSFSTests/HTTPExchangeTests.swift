import Testing
import WDSFS

@Suite("The metrics server's HTTP")
struct HTTPExchangeTests {
  private static func reply(_ head: String, isLocalOnly: Bool = true) -> String {
    let bytes = HTTPExchange.reply(to: Array(head.utf8), isLocalOnly: isLocalOnly) { path in
      path == "/x" ? HTTPExchange.Content(type: "text/x", bytes: Array("abc".utf8)) : nil
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func status(_ head: String, isLocalOnly: Bool = true) -> String {
    let line = reply(head, isLocalOnly: isLocalOnly).prefix { $0 != "\r\n" }
    return String(line.dropFirst("HTTP/1.1 ".count).prefix(3))
  }

  @Test("a GET is answered with what lies there, its length, and rules for browsers")
  func get() {
    let reply = Self.reply("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:9105\r\n\r\n")
    #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 3\r\n"))
    #expect(reply.contains("\r\nConnection: close\r\n"))
    #expect(reply.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'"))
    #expect(reply.hasSuffix("\r\n\r\nabc"))
  }

  @Test("a HEAD is answered like a GET, without the body")
  func head() {
    let reply = Self.reply("HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    #expect(reply.contains("Content-Length: 3\r\n") && reply.hasSuffix("\r\n\r\n"))
  }

  @Test(
    "what makes no sense is refused",
    arguments: [
      ("POST /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
      ("GET /y HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
      ("GET /../x HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
      ("GET x HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
      ("GET  /x HTTP/1.1\r\n\r\n", "400"), ("GET /x\r\n\r\n", "400"), ("\r\n\r\n", "400"),
      ("GET /x FTP/1.1\r\n\r\n", "400"), ("\u{0}\u{FF}\r\n\r\n", "400"),
    ]
  )
  func refusals(head: String, status: String) {
    #expect(Self.status(head) == status)
  }

  @Test(
    "a server for this machine alone answers to its own names only",
    arguments: [
      ("localhost", "200"), ("LOCALHOST:80", "200"), ("127.0.0.1", "200"), ("127.1.2.3:9", "200"),
      ("[::1]", "200"), ("[::1]:9105", "200"), ("evil.example", "421"),
      ("127.0.0.1.evil.example", "421"), ("localhost.evil.example:9105", "421"),
      ("[::1].evil", "421"), ("127.0.0.999", "421"), ("", "421"),
    ]
  )
  func hosts(host: String, status: String) {
    let head = "GET /x HTTP/1.1\r\nhost: \(host)\r\n\r\n"
    #expect(Self.status(head) == status)
    #expect(Self.status(head, isLocalOnly: false) == "200")
  }

  @Test("a head ends with its empty line, wherever it is cut on its way")
  func headEnd() {
    let head = Array("\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n".utf8)
    for length in 0..<head.count {
      #expect(HTTPExchange.headEnd(in: Array(head[..<length])) == nil)
    }
    #expect(HTTPExchange.headEnd(in: head + [1, 2]) == head.count)
    #expect(HTTPExchange.headEnd(in: Array("GET / HTTP/1.0\n\nx".utf8)) == 16)
  }

  @Test(
    "an address is an IP and a port",
    arguments: [
      ("127.0.0.1:9105", "127.0.0.1:9105", true), ("9105", "127.0.0.1:9105", true),
      ("localhost:1", "127.0.0.1:1", true), ("[::1]:9105", "[::1]:9105", true),
      ("0.0.0.0:80", "0.0.0.0:80", false), ("[::]:80", "[::]:80", false),
      ("10.1.2.3:65535", "10.1.2.3:65535", false),
    ]
  )
  func addresses(text: String, described: String, isLoopback: Bool) {
    let address = ListenAddress(text)
    #expect(address?.description == described)
    #expect(address?.isLoopback == isLoopback)
  }

  @Test(
    "what is no address is none",
    arguments: [
      "", ":", ":9105", "host:9105", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:9105",
      "[127.0.0.1]:1", "127.0.0.1:+1", "[::1]", "1.2.3:4",
    ]
  )
  func noAddresses(text: String) {
    #expect(ListenAddress(text) == nil)
  }
}
