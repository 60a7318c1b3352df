import Glibc
import Remote
import Synchronization

/// A small server for metrics, on one thread of its own: who is slow keeps only himself waiting.
///
/// Bounded in everything: connections, a request's bytes, and the time from a connection's beginning
/// to its end. It takes no lock that a read of the mount takes for longer than a look at counters.
final class HTTPServer: Sendable {
  /// What one client may cost.
  struct Limits: Sendable {
    var maxConnections = 16

    /// From the first byte to the head's end, and from there to the reply's last byte.
    var headTime: Duration = .seconds(5)
    var replyTime: Duration = .seconds(10)

    init() {}
  }

  /// As it came to be: with the port that the system chose, where 0 was asked for.
  let address: ListenAddress

  private let listener: Int32
  private let limits: Limits
  private let contents: HTTPExchange.Contents
  private let ends: (read: Int32, write: Int32)
  private let ended = ReadySignal()

  private struct Connection {
    let socket: Int32
    var deadline: ContinuousClock.Instant
    var head: [UInt8] = []

    /// Nil while the head is still coming.
    var reply: [UInt8]?
    var sentBytes = 0
  }

  /// Listens, and begins to answer.
  ///
  /// - Parameters:
  ///   - address: Port 0 takes any that is free.
  ///   - limits: For each client and all together.
  ///   - contents: Makes what a path shows, on the server's thread.
  /// - Throws: What the system says against it.
  init(
    at address: ListenAddress,
    limits: Limits = Limits(),
    contents: @escaping HTTPExchange.Contents
  ) throws(SystemCallError) {
    let listener = socket(
      address.family,
      Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
      0
    )
    guard listener >= 0 else { throw .latest }
    // So that a mount that is made again at once gets its port again.
    var isOn: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
    let isBound = address.withSocketAddress { bind(listener, $0, $1) == 0 } ?? false
    var pair: [Int32] = [-1, -1]
    guard isBound, listen(listener, 64) == 0, pipe(&pair) == 0 else {
      let error = SystemCallError.latest
      close(listener)
      throw error
    }
    for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    self.listener = listener
    self.limits = limits
    self.contents = contents
    ends = (pair[0], pair[1])
    self.address = ListenAddress(host: address.host, port: Self.port(of: listener) ?? address.port)
    WorkerThread.start(name: "metrics") { [self] in run() }
  }

  /// Drops every connection and ends the thread; to be called once.
  func shutDown() {
    FileDescriptorOutput.writeAll([0], to: ends.write)
    ended.wait()
    close(ends.read)
    close(ends.write)
  }

  private static func port(of socket: Int32) -> UInt16? {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        guard getsockname(socket, general, &length) == 0 else { return nil }
        // Both kinds of address have their port at the same place.
        return general.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          UInt16(bigEndian: $0.pointee.sin_port)
        }
      }
    }
  }

  // MARK: The thread

  private func run() {
    var connections: [Connection] = []
    defer {
      for connection in connections { close(connection.socket) }
      close(listener)
      ended.signal()
    }
    while true {
      let hasRoom = connections.count < limits.maxConnections
      var files = [
        pollfd(fd: ends.read, events: Int16(POLLIN), revents: 0),
        // Who finds no room waits in the kernel's queue.
        pollfd(fd: hasRoom ? listener : -1, events: Int16(POLLIN), revents: 0),
      ]
      files += connections.map { connection in
        let events = connection.reply == nil ? POLLIN : POLLOUT
        return pollfd(fd: connection.socket, events: Int16(events), revents: 0)
      }
      _ = poll(&files, nfds_t(files.count), milliseconds(connections))
      if files[0].revents != 0 { return }
      let now = ContinuousClock.now
      for number in connections.indices where files[number + 2].revents != 0 {
        if !serve(&connections[number], now) { connections[number].deadline = now }
      }
      connections.removeAll { connection in
        guard connection.deadline <= now else { return false }
        close(connection.socket)
        return true
      }
      if files[1].revents != 0 { accept(into: &connections, now) }
    }
  }

  /// Until the first deadline.
  private func milliseconds(_ connections: [Connection]) -> Int32 {
    guard let next = connections.map(\.deadline).min() else { return -1 }
    let rest = ContinuousClock.now.duration(to: next) / .milliseconds(1)
    return Int32(max(0, min(rest.rounded(.up), 60_000)))
  }

  private func accept(
    into connections: inout [Connection],
    _ now: ContinuousClock.Instant
  ) {
    while connections.count < limits.maxConnections {
      let socket = Glibc.accept(listener, nil, nil)
      guard socket >= 0 else {
        // Out of descriptors: whoever waits in the queue would have us turn at once, again and again.
        if errno == EMFILE || errno == ENFILE { usleep(100_000) }
        return
      }
      _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
      _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK)
      connections.append(Connection(socket: socket, deadline: now + limits.headTime))
    }
  }

  // MARK: One connection

  /// Does what can be done without waiting.
  ///
  /// - Returns: False where the connection is to be closed.
  private func serve(_ connection: inout Connection, _ now: ContinuousClock.Instant) -> Bool {
    if connection.reply == nil {
      guard receive(&connection) else { return false }
      guard let reply = reply(to: connection) else { return true }
      connection.reply = reply
      connection.deadline = now + limits.replyTime
    }
    return send(&connection)
  }

  private func receive(_ connection: inout Connection) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(connection.socket, &buffer, buffer.count, 0)
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    guard count > 0 else { return false }
    connection.head += buffer[..<count]
    return true
  }

  /// Nil while the head is not whole.
  private func reply(to connection: Connection) -> [UInt8]? {
    let head = connection.head
    guard let end = HTTPExchange.headEnd(in: head), end <= HTTPExchange.maxHeadBytes else {
      return head.count > HTTPExchange.maxHeadBytes
        ? HTTPExchange.failure("431 Request Header Fields Too Large") : nil
    }
    return HTTPExchange.reply(
      to: Array(head[..<end]),
      isLocalOnly: address.isLoopback,
      contents
    )
  }

  /// - Returns: False once all is sent, or nobody takes it.
  private func send(_ connection: inout Connection) -> Bool {
    guard let reply = connection.reply else { return true }
    while connection.sentBytes < reply.count {
      let count = reply.withUnsafeBytes { bytes in
        Glibc.send(
          connection.socket,
          bytes.baseAddress?.advanced(by: connection.sentBytes),
          bytes.count - connection.sentBytes,
          0
        )
      }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      connection.sentBytes += count
    }
    return false
  }
}
