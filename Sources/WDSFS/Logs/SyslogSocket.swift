package import Glibc
package import Logging
import Synchronization

/// Lines to the system's log, journald or syslogd.
///
/// Speaks to the socket itself: syslog(3) waits while its daemon is stopped, and a log must never
/// stop a reader. By RFC 3164, in the form without time and host that is used on the same machine.
package final class SyslogSocket: LogOutput {
  private struct State {
    var file: Int32 = -1
    var triedAt: Int?
  }

  private let path: String
  private let state = Mutex(State())

  package init(path: String = "/dev/log") {
    self.path = path
  }

  deinit {
    state.withLock { if $0.file >= 0 { close($0.file) } }
  }

  package func write(_ line: LogLine, level: Logger.Level, time: timespec) {
    let text = "<\(Self.facility | Self.severity(level))>wdsfs[\(getpid())]: \(line.text)"
    let bytes = Array(text.utf8)
    state.withLock { state in
      if send(bytes, state.file) { return }
      // The daemon was restarted, or is not there: once a second is often enough to look.
      guard state.triedAt != time.tv_sec else { return }
      state.triedAt = time.tv_sec
      if state.file >= 0 { close(state.file) }
      state.file = Self.connected(to: path)
      _ = send(bytes, state.file)
    }
  }

  private func send(_ bytes: [UInt8], _ file: Int32) -> Bool {
    guard file >= 0 else { return false }
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    // A full socket drops this line and is no reason to connect again.
    return Glibc.send(file, bytes, bytes.count, flags) >= 0 || errno == EAGAIN
  }

  private static func connected(to path: String) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let isCopied = withUnsafeMutableBytes(of: &address.sun_path) { place in
      guard path.utf8.count < place.count else { return false }
      place.copyBytes(from: path.utf8)
      return true
    }
    guard isCopied else { return -1 }
    let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let file = socket(AF_UNIX, type, 0)
    guard file >= 0 else { return -1 }
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard status == 0 else {
      close(file)
      return -1
    }
    return file
  }

  /// `LOG_DAEMON`.
  private static let facility: Int32 = 3 << 3

  private static func severity(_ level: Logger.Level) -> Int32 {
    switch level {
    case .trace, .debug: LOG_DEBUG
    case .info: LOG_INFO
    case .notice: LOG_NOTICE
    case .warning: LOG_WARNING
    case .error: LOG_ERR
    case .critical: LOG_CRIT
    }
  }
}
