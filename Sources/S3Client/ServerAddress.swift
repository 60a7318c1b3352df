package import Remote

/// Scheme, host and port of a server, and the path that its URLs begin with.
package struct ServerAddress: Hashable, Sendable {
  package var isSecure: Bool

  /// In lower case; an IPv6 address with its brackets.
  package var host: String
  package var port: Int

  /// As written, without a slash at its end; usually empty.
  package var basePath: String

  /// Reads an endpoint such as `https://minio.example.org:9000`.
  ///
  /// - Throws: `StoreError.invalid` for what is no http(s) URL, and for one that holds a name and a
  ///   password or a query: these would end up in messages.
  package init(endpoint text: String) throws(StoreError) {
    guard let url = WebURL(text), url.query == nil else {
      // What stands before an @ is a name and a password.
      let shown = text.utf8.split(separator: UInt8(ascii: "@")).last ?? text.utf8[...]
      throw .invalid(
        "the endpoint \(PrintableName.text(shown.prefix { $0 != UInt8(ascii: "?") })) is not "
          + "of the form https://host or https://host:port"
      )
    }
    self = url.server
    var path = url.path
    while path.hasSuffix("/") { path.removeLast() }
    basePath = path
  }

  package init(isSecure: Bool, host: String, port: Int? = nil) {
    self.isSecure = isSecure
    self.host = host.lowercased()
    self.port = port ?? (isSecure ? 443 : 80)
    basePath = ""
  }

  /// Host and port as the Host header has them: a scheme's own port is left out.
  package var authority: String {
    port == (isSecure ? 443 : 80) ? host : "\(host):\(port)"
  }

  /// Scheme, host and port.
  package var origin: String { (isSecure ? "https://" : "http://") + authority }

  /// Whether what is sent there stays on this machine.
  var isLoopback: Bool {
    host == "localhost" || host == "[::1]" || isAddress && host.hasPrefix("127.")
  }

  var isAddress: Bool {
    host.hasPrefix("[") || host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || isDigit($0) }
  }

  private func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
}

/// An http(s) URL in its parts, percent-encoded.
package struct WebURL: Hashable, Sendable {
  package let server: ServerAddress

  /// Begins with a slash.
  package let path: String
  package let query: String?

  /// Reads a URL and encodes what is not yet encoded.
  ///
  /// There are no fragments here: `#` is a byte of the name. Nil for other schemes, user names and
  /// odd hosts.
  package init?(_ text: some StringProtocol) {
    self.init(bytes: Array(text.utf8))
  }

  package init?(bytes: [UInt8]) {
    guard let mark = bytes.firstIndex(of: UInt8(ascii: ":")),
      bytes[mark...].starts(with: "://".utf8)
    else { return nil }
    let scheme = String(decoding: bytes[..<mark], as: UTF8.self).lowercased()
    guard scheme == "http" || scheme == "https" else { return nil }
    let rest = bytes[(mark + 3)...]
    let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
    let tail = rest[authority.endIndex...]
    guard let (host, port) = Self.hostAndPort(authority) else { return nil }
    server = ServerAddress(isSecure: scheme == "https", host: host, port: port)
    let path = tail.prefix { $0 != UInt8(ascii: "?") }
    self.path = path.isEmpty ? "/" : PercentEncoding.repaired(path)
    let query = tail[path.endIndex...].dropFirst()
    self.query =
      path.endIndex < tail.endIndex
      ? query.split(separator: UInt8(ascii: "?"), omittingEmptySubsequences: false)
        .map { PercentEncoding.repaired($0) }.joined(separator: "?")
      : nil
  }

  package var text: String { server.origin + path + (query.map { "?" + $0 } ?? "") }

  private static func hostAndPort(_ authority: ArraySlice<UInt8>) -> (String, Int?)? {
    var host = authority
    var port: Int?
    let afterBracket = authority.lastIndex(of: UInt8(ascii: "]")) ?? authority.startIndex
    if let colon = authority[afterBracket...].lastIndex(of: UInt8(ascii: ":")) {
      host = authority[..<colon]
      let digits = authority[(colon + 1)...]
      guard let number = UInt16(String(decoding: digits, as: UTF8.self)), number > 0 else {
        return nil
      }
      port = Int(number)
    }
    let isHarmless = host.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"):
        true
      case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ":"):
        host.first == UInt8(ascii: "[")
      default: false
      }
    }
    guard !host.isEmpty, isHarmless else { return nil }
    return (String(decoding: host, as: UTF8.self).lowercased(), port)
  }
}
