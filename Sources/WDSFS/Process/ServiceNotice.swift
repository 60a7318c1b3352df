import Glibc

/// Tells the service manager how far we are.
///
/// By the protocol of sd_notify(3): one datagram of `NAME=value` lines to the socket that
/// `NOTIFY_SOCKET` names. Where nobody has set it, or nobody listens, nothing happens: a mount does
/// not depend on who started it.
package struct ServiceNotice: Sendable {
  /// A path, or with an `@` in front a name in the abstract space.
  private let address: String

  package static let variable = "NOTIFY_SOCKET"

  /// - Parameter environment: All variables.
  package init?(environment: [String: String]) {
    guard let address = environment[Self.variable],
      address.hasPrefix("/") || address.hasPrefix("@"), address.utf8.count > 1
    else { return nil }
    self.address = address
  }

  /// The mount answers: units that wait for this one start.
  ///
  /// - Returns: Whether somebody was told.
  @discardableResult
  package func ready(_ status: String) -> Bool {
    tell("READY=1\nSTATUS=\(PrintableText.oneLine(status))\n")
  }

  /// The mount is being taken away.
  @discardableResult
  package func stopping() -> Bool { tell("STOPPING=1\nSTATUS=unmounting\n") }

  private func tell(_ lines: String) -> Bool {
    var target = sockaddr_un()
    target.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(address.utf8)
    let length = withUnsafeMutableBytes(of: &target.sun_path) { place -> Int? in
      guard bytes.count < place.count else { return nil }
      place.copyBytes(from: bytes)
      // unix(7): an abstract name begins with a zero and ends with its last letter.
      if bytes.first == UInt8(ascii: "@") { place[0] = 0 }
      return MemoryLayout<sockaddr_un>.size - place.count + bytes.count
    }
    guard let length else { return false }
    let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let file = socket(AF_UNIX, type, 0)
    guard file >= 0 else { return false }
    defer { close(file) }
    let message = Array(lines.utf8)
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    let sent = withUnsafePointer(to: &target) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(file, message, message.count, flags, $0, socklen_t(length))
      }
    }
    return sent == message.count
  }
}
