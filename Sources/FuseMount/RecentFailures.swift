package import Instruments

/// Reads that failed just now after a long wait, so that the kernel's repetition of one fails at once.
///
/// Where what it read ahead does not come, the kernel asks for the reader's part once more before it
/// says so, and the reader would wait twice as long as he was promised.
package struct RecentFailures {
  private struct Failure {
    let inode: UInt64
    let range: Range<Int64>
    let failedAt: MonotonicTime
  }

  /// Quicker ones may as well be tried again.
  package static let minWaitNanoseconds = 1_000_000_000

  /// The repetition comes at once, but the reader may have to wait for a core.
  package static let maxAgeNanoseconds = 5_000_000_000

  private static let maxCount = 64
  private var failures: [Failure] = []

  package init() {}

  /// Notes a read that failed.
  package mutating func insert(
    _ range: Range<Int64>,
    of inode: UInt64,
    begunAt start: MonotonicTime,
    at now: MonotonicTime
  ) {
    guard now.nanoseconds &- start.nanoseconds >= Self.minWaitNanoseconds else { return }
    removeOld(now)
    if failures.count == Self.maxCount { failures.removeFirst() }
    failures.append(Failure(inode: inode, range: range, failedAt: now))
  }

  /// Whether a read repeats one that failed; true once for each.
  package mutating func take(_ offset: Int64, of inode: UInt64, at now: MonotonicTime) -> Bool {
    guard !failures.isEmpty else { return false }
    removeOld(now)
    let place = failures.firstIndex { $0.inode == inode && $0.range.contains(offset) }
    guard let place else { return false }
    failures.remove(at: place)
    return true
  }

  private mutating func removeOld(_ now: MonotonicTime) {
    failures.removeAll { now.nanoseconds &- $0.failedAt.nanoseconds > Self.maxAgeNanoseconds }
  }
}
