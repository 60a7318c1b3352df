import Glibc

/// Ports on 127.0.0.1 for servers that tests start.
package enum LoopbackPort {
  /// One that nobody listens at just now.
  package static func free() throws(TestFailure) -> UInt16 {
    let (descriptor, port) = try listener()
    close(descriptor)
    return port
  }

  /// A socket that listens at a port of the kernel's choice.
  package static func listener() throws(TestFailure) -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw TestFailure("no socket") }
    var address = Self.address(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) == 0 && listen(descriptor, 128) == 0
          && getsockname(descriptor, address, &length) == 0
      }
    }
    guard isBound else {
      close(descriptor)
      throw TestFailure("no port")
    }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  /// Waits until somebody listens there.
  package static func wait(
    _ port: UInt16,
    within limit: Duration = .seconds(120)
  ) throws(TestFailure) {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
      if isOpen(port) { return }
      poll(nil, 0, 20)
    }
    throw TestFailure("nobody listens at port \(port) after \(limit)")
  }

  private static func isOpen(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = Self.address(port)
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }

  private static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  /// Starts a server at a free port and waits until it listens there.
  ///
  /// Between the search and the server's own `bind` another process may take the port; then another
  /// one is tried.
  ///
  /// - Parameter start: Starts the server at a port.
  /// - Returns: The server and its port.
  /// - Throws: Where it does not listen at the third port either.
  package static func serve(
    _ start: (_ port: UInt16) throws(TestFailure) -> RunningProcess
  ) throws(TestFailure) -> (process: RunningProcess, port: UInt16) {
    var lastFailure = TestFailure("no server")
    for _ in 0..<3 {
      let port = try free()
      let process = try start(port)
      do throws(TestFailure) {
        try wait(port)
        return (process, port)
      } catch {
        lastFailure = error
        process.stop()
      }
    }
    throw lastFailure
  }
}
