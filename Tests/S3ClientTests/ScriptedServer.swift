import Glibc
import Remote
import Synchronization
import TestSupport

/// An HTTP server that answers as a test tells it to, also wrongly; blocking sockets on threads.
final class ScriptedServer: Sendable {
  struct Request: Sendable {
    let method: String
    let path: String
    let headers: [String: String]

    /// The first and last byte of the Range header.
    var range: ClosedRange<Int>? {
      let ends = headers["range"]?.dropFirst("bytes=".count).split(separator: "-")
        .compactMap { Int($0) }
      return ends.flatMap { $0.count == 2 ? $0[0]...$0[1] : nil }
    }
  }

  enum Action: Sendable {
    case send([UInt8])

    /// RST.
    case reset

    /// FIN.
    case close

    /// Nothing more, until the client gives up.
    case stall

    /// Nothing until somebody says so.
    case wait(ReadySignal)

    /// Nothing for so long.
    case pause(Duration)

    /// These bytes again and again, until the client gives up.
    case endlessly([UInt8])

    static func text(_ text: String) -> Action { .send(Array(text.utf8)) }
  }

  let port: UInt16
  private let listener: Int32
  private let script: @Sendable (_ number: Int, _ request: Request) -> [Action]
  private let log = Mutex<[Request]>([])

  /// Starts to listen.
  ///
  /// - Parameter script: Answers the n-th request, from 0.
  /// - Throws: Where there is no port to be had.
  init(
    _ script: @escaping @Sendable (_ number: Int, _ request: Request) -> [Action]
  ) throws(TestFailure) {
    (listener, port) = try LoopbackPort.listener()
    self.script = script
    let listener = listener
    WorkerThread.start(name: "scripted") { [weak self] in
      while true {
        let connection = accept(listener, nil, nil)
        if connection < 0, errno != EINVAL, errno != EBADF { continue }
        guard connection >= 0, let self else { return }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        WorkerThread.start(name: "scripted-conn") { [weak self] in
          while let self, self.serve(connection) {}
          close(connection)
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  var url: String { "http://127.0.0.1:\(port)" }
  var requests: [Request] { log.withLock { $0 } }

  /// Answers one request; false once the connection is done for.
  private func serve(_ connection: Int32) -> Bool {
    guard let request = read(connection) else { return false }
    let number = log.withLock { log in
      log.append(request)
      return log.count - 1
    }
    for action in script(number, request) {
      switch action {
      case .send(let bytes):
        if !write(connection, bytes) { return false }
      case .reset:
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
          connection,
          SOL_SOCKET,
          SO_LINGER,
          &linger,
          socklen_t(MemoryLayout<linger>.size)
        )
        return false
      case .close: return false
      case .wait(let signal): signal.wait()
      case .pause(let time):
        poll(
          nil,
          0,
          Int32(
            time.components.seconds * 1000 + time.components.attoseconds / 1_000_000_000_000_000
          )
        )
      case .stall:
        var byte: UInt8 = 0
        while recv(connection, &byte, 1, 0) > 0 {}
        return false
      case .endlessly(let bytes):
        while write(connection, bytes) {}
        return false
      }
    }
    return true
  }

  private func read(_ connection: Int32) -> Request? {
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while !text.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      guard recv(connection, &byte, 1, 0) == 1 else { return nil }
      text.append(byte)
    }
    let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
    guard let words = lines.first?.split(separator: " "), words.count == 3 else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].dropFirst())
    }
    return Request(method: String(words[0]), path: String(words[1]), headers: headers)
  }

  private func write(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}

extension ScriptedServer.Action {
  /// A reply with its length.
  static func reply(
    _ status: String,
    _ headers: [String] = [],
    body: some Collection<UInt8> = []
  ) -> Self {
    let head = ["HTTP/1.1 \(status)"] + headers + ["Content-Length: \(body.count)", "", ""]
    return .send(Array(head.joined(separator: "\r\n").utf8) + body)
  }

  /// The honest answer to a range GET.
  static func part(
    of object: [UInt8],
    _ request: ScriptedServer.Request,
    eTag: String = "\"one\""
  ) -> Self {
    guard let range = request.range else {
      return .reply("200 OK", ["ETag: \(eTag)"], body: object)
    }
    let end = min(range.upperBound + 1, object.count)
    return .reply(
      "206 Partial Content",
      [
        "ETag: \(eTag)", "Content-Range: bytes \(range.lowerBound)-\(end - 1)/\(object.count)",
      ],
      body: object[range.lowerBound..<end]
    )
  }

  /// The head of such an answer, and only the first bytes of its body.
  static func begunPart(
    of object: [UInt8],
    _ request: ScriptedServer.Request,
    count: Int
  ) -> Self {
    guard let range = request.range else { return .close }
    let head = [
      "HTTP/1.1 206 Partial Content", "ETag: \"one\"",
      "Content-Range: bytes \(range.lowerBound)-\(range.upperBound)/\(object.count)",
      "Content-Length: \(range.count)", "", "",
    ]
    let body = object[range.lowerBound..<(range.lowerBound + count)]
    return .send(Array(head.joined(separator: "\r\n").utf8) + body)
  }
}
