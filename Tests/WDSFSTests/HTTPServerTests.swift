import Glibc
import Testing

@testable import WDSFS

@Suite("The metrics server")
struct HTTPServerTests {
  /// A client's socket, which reads what comes within ten seconds.
  private final class Client {
    private let socket: Int32

    init(port: UInt16) throws {
      socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let status = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      try #require(status == 0)
    }

    deinit {
      close(socket)
    }

    func send(_ text: String) {
      let bytes = Array(text.utf8)
      #expect(Glibc.send(socket, bytes, bytes.count, 0) == bytes.count)
    }

    /// Everything up to the end of the connection; nil where it does not end in time.
    func readAll() -> [UInt8]? {
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while true {
        var file = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&file, 1, 10_000) == 1 else { return nil }
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 0 else { return bytes }
        bytes += buffer[..<count]
      }
    }

    var text: String? { readAll().map { String(decoding: $0, as: UTF8.self) } }
  }

  private static let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

  private static func server(
    _ limits: HTTPServer.Limits = HTTPServer.Limits(),
    bytes: [UInt8] = Array("hello".utf8)
  ) throws -> HTTPServer {
    let address = try #require(ListenAddress("127.0.0.1:0"))
    return try HTTPServer(at: address, limits: limits) { _ in
      HTTPExchange.Content(type: "text/plain", bytes: bytes)
    }
  }

  @Test("it answers a request in pieces, and ends the connection")
  func answers() throws {
    let server = try Self.server()
    defer { server.shutDown() }
    let client = try Client(port: server.address.port)
    for character in Self.request { client.send(String(character)) }
    #expect(client.text?.hasSuffix("\r\n\r\nhello") == true)
  }

  @Test("who says nothing, and who reads nothing, keeps nobody else waiting and is let go")
  func slowClients() throws {
    var limits = HTTPServer.Limits()
    // The silent one is let go last, so that the deaf one is not read from before its time is up.
    limits.headTime = .seconds(9)
    limits.replyTime = .seconds(8)
    // More than a socket's buffers take on both sides: net.ipv4.tcp_wmem and tcp_rmem.
    let bodyBytes = 12 << 20
    let server = try Self.server(limits, bytes: Array(repeating: 120, count: bodyBytes))
    defer { server.shutDown() }
    let silent = try Client(port: server.address.port)
    let deaf = try Client(port: server.address.port)
    deaf.send(Self.request)
    let quick = try Client(port: server.address.port)
    quick.send(Self.request)
    #expect((quick.readAll()?.count ?? 0) > bodyBytes)
    #expect(silent.readAll() == [])
    #expect((deaf.readAll()?.count ?? Int.max) < bodyBytes)
  }

  @Test("no more connections are served at once than allowed; the next comes when one has gone")
  func manyClients() throws {
    var limits = HTTPServer.Limits()
    limits.maxConnections = 2
    limits.headTime = .milliseconds(500)
    let server = try Self.server(limits)
    defer { server.shutDown() }
    let silent = [
      try Client(port: server.address.port), try Client(port: server.address.port),
    ]
    let client = try Client(port: server.address.port)
    client.send(Self.request)
    #expect(client.text?.hasSuffix("hello") == true)
    for other in silent { #expect(other.readAll() == []) }
  }

  @Test("a head without end is refused")
  func endlessHead() throws {
    let server = try Self.server()
    defer { server.shutDown() }
    let client = try Client(port: server.address.port)
    client.send(String(repeating: "x", count: HTTPExchange.maxHeadBytes + 1))
    #expect(client.text?.hasPrefix("HTTP/1.1 431 ") == true)
  }

  @Test("a port that is taken is said to be, and free again once the server has ended")
  func ports() throws {
    let first = try Self.server()
    let same = try #require(ListenAddress("127.0.0.1:\(first.address.port)"))
    #expect(throws: SystemCallError.self) { try HTTPServer(at: same) { _ in nil } }
    first.shutDown()
    try HTTPServer(at: same) { _ in nil }.shutDown()
  }
}
