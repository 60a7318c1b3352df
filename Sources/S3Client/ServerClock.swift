package import Logging
import Synchronization

/// The time by which requests are signed: this machine's, corrected by what servers say it is.
///
/// S3 refuses what is signed more than a quarter of an hour off; a machine whose clock is wrong, or
/// which woke up with yesterday's, learns the difference from the refusal's Date header and keeps it
/// until the next one (docs/reliability.md, S23 and L24).
package final class ServerClock: Sendable {
  /// A smaller difference is the way's, not the clock's.
  static let leastOffsetSeconds: Int64 = 60

  private let base: @Sendable () -> CalendarTime
  private let offset = Mutex<Int64>(0)

  /// - Parameter base: The machine's clock.
  package init(_ base: @escaping @Sendable () -> CalendarTime = { .now }) {
    self.base = base
  }

  package var now: CalendarTime { CalendarTime(seconds: base().seconds + offset.withLock { $0 }) }

  /// Takes the server's time over, where a refused request was signed at quite another one.
  ///
  /// - Parameters:
  ///   - date: The Date header of the refusal.
  ///   - signedAt: The time in the refused request.
  ///   - logger: Gets the difference, where it is news.
  /// - Returns: Whether another signature may succeed.
  package func learn(date: String?, signedAt: CalendarTime, logger: Logger) -> Bool {
    guard let server = date.flatMap({ CalendarTime(httpDate: $0) }),
      abs(server.seconds - signedAt.seconds) >= Self.leastOffsetSeconds
    else { return false }
    let found = server.seconds - base().seconds
    let isNews = offset.withLock { offset in
      defer { offset = found }
      return abs(offset - found) >= Self.leastOffsetSeconds
    }
    if isNews {
      let side = found > 0 ? "behind" : "ahead of"
      logger.warning(
        "this clock is \(abs(found)) s \(side) the server's, which signs from now on; set it",
        metadata: ["event": "s3.clock_offset", "seconds": "\(found)"]
      )
    }
    return true
  }
}
