/// One request to the metrics server and its reply: bytes in, bytes out, no I/O.
///
/// As much of HTTP/1.1 as a scraper and a browser need: `GET` and `HEAD` without a body, one request
/// a connection.
package enum HTTPExchange {
  /// No scraper's or browser's head is longer.
  package static let maxHeadBytes = 8 * 1024

  /// What a path shows.
  package struct Content: Sendable {
    package let type: String
    package let bytes: [UInt8]

    package init(type: String, bytes: [UInt8]) {
      self.type = type
      self.bytes = bytes
    }
  }

  package typealias Contents = @Sendable (_ path: String) -> Content?

  /// Where a request's head ends; nil while more of it is to come.
  package static func headEnd(in bytes: [UInt8]) -> Int? {
    var lineStart = 0
    for (place, byte) in bytes.enumerated() where byte == 10 {
      let line = bytes[lineStart..<place]
      lineStart = place + 1
      // An empty line, after at least a request line: what comes before that is passed over.
      if line.isEmpty || line.elementsEqual([13]), bytes[..<place].contains(where: { $0 > 32 }) {
        return place + 1
      }
    }
    return nil
  }

  /// Answers a head.
  ///
  /// - Parameters:
  ///   - head: Up to its end, at most `maxHeadBytes`.
  ///   - isLocalOnly: Whether the server is for this machine alone. Then a request for another
  ///     host's name is refused, which a stranger's page in a browser of ours would send (DNS
  ///     rebinding).
  ///   - contents: What the paths show; asked only for a request that is taken.
  /// - Returns: The whole reply.
  package static func reply(
    to head: [UInt8],
    isLocalOnly: Bool,
    _ contents: Contents
  ) -> [UInt8] {
    let lines = String(decoding: head, as: UTF8.self).split(whereSeparator: \.isNewline)
    let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2].hasPrefix("HTTP/1."), words[1].hasPrefix("/") else {
      return failure("400 Bad Request")
    }
    guard words[0] == "GET" || words[0] == "HEAD" else {
      return failure("405 Method Not Allowed", ["Allow: GET, HEAD"])
    }
    if isLocalOnly, !lines.dropFirst().contains(where: namesThisMachine) {
      return failure("421 Misdirected Request")
    }
    let path = words[1].prefix { $0 != "?" }
    guard let content = contents(String(path)) else { return failure("404 Not Found") }
    return reply("200 OK", content, isHead: words[0] == "HEAD")
  }

  package static func failure(_ status: String, _ headers: [String] = []) -> [UInt8] {
    let text = Content(type: "text/plain; charset=utf-8", bytes: Array((status + "\n").utf8))
    return reply(status, text, headers)
  }

  /// Whether a header line is a `Host` that is this machine's own, by any port: tunnels change it.
  private static func namesThisMachine(_ line: Substring) -> Bool {
    guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "host" else {
      return false
    }
    var host = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
    while host.last == " " || host.last == "\t" { host.removeLast() }
    if host.hasPrefix("[::1]") {
      host = host.dropFirst(5)
      return host.isEmpty || host.hasPrefix(":")
    }
    let name = host.prefix { $0 != ":" }.lowercased()
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let isLoopback = parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    return name == "localhost" || isLoopback
  }

  private static func reply(
    _ status: String,
    _ content: Content,
    _ headers: [String] = [],
    isHead: Bool = false
  ) -> [UInt8] {
    let lines = [
      "HTTP/1.1 \(status)", "Content-Type: \(content.type)",
      "Content-Length: \(content.bytes.count)", "Connection: close", "Cache-Control: no-store",
      "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
        + "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'",
      "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer",
      "Cross-Origin-Resource-Policy: same-origin",
    ]
    let head = (lines + headers).joined(separator: "\r\n") + "\r\n\r\n"
    return Array(head.utf8) + (isHead ? [] : content.bytes)
  }
}
