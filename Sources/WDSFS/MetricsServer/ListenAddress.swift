import Glibc

/// Where a server listens: an IP address and a port, as `--metrics-addr` says it.
package struct ListenAddress: Hashable, Sendable {
  /// Without brackets.
  package let host: String
  package let port: UInt16

  /// Reads `127.0.0.1:9105`, `[::1]:9105`, `localhost:9105`, or a port alone, which is on loopback.
  ///
  /// Names are not looked up: where one leads may change, and whom it lets in with it.
  package init?(_ text: String) {
    let host: Substring
    let digits: Substring
    if let colon = text.lastIndex(of: ":") {
      host = text[..<colon]
      digits = text[text.index(after: colon)...]
    } else {
      host = "127.0.0.1"
      digits = text[...]
    }
    guard let port = UInt16(digits), digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      return nil
    }
    var name = host == "localhost" ? "127.0.0.1" : String(host)
    if name.hasPrefix("["), name.hasSuffix("]") {
      name = String(name.dropFirst().dropLast())
      guard name.contains(":") else { return nil }
    } else {
      // A bare IPv6 address could not be told from its port.
      guard !name.contains(":") else { return nil }
    }
    self.host = name
    self.port = port
    guard withSocketAddress({ _, _ in true }) != nil else { return nil }
  }

  init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  private var isIPv6: Bool { host.contains(":") }
  var family: Int32 { isIPv6 ? AF_INET6 : AF_INET }

  /// Whether only this machine can reach it.
  package var isLoopback: Bool { host == "::1" || !isIPv6 && host.hasPrefix("127.") }

  /// As the kernel wants it; nil where the host is no address.
  func withSocketAddress<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value? {
    if isIPv6 {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else { return nil }
      return Self.with(&address, body)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
    return Self.with(&address, body)
  }

  private static func with<Address, Value>(
    _ address: inout Address,
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
  ) -> Value {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<Address>.size))
      }
    }
  }
}

extension ListenAddress: CustomStringConvertible {
  package var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
