import FuseMount
import Instruments
import Testing

@Suite struct RecentFailuresTests {
  private static let second = 1_000_000_000
  private static func time(_ seconds: Int) -> MonotonicTime {
    MonotonicTime(nanoseconds: seconds * second)
  }

  private static func failures() -> RecentFailures {
    var failures = RecentFailures()
    failures.insert(4096..<131_072, of: 7, begunAt: time(10), at: time(70))
    return failures
  }

  private func take(
    _ offset: Int64,
    of inode: UInt64,
    at now: MonotonicTime,
    _ failures: inout RecentFailures
  ) -> Bool {
    failures.take(offset, of: inode, at: now)
  }

  @Test func theRepetitionOfAFailedReadFailsOnce() {
    var failures = Self.failures()
    #expect(take(4096, of: 7, at: Self.time(71), &failures))
    #expect(!take(4096, of: 7, at: Self.time(71), &failures))
  }

  @Test func whatIsNoRepetitionIsTried() {
    var failures = Self.failures()
    #expect(!take(4096, of: 8, at: Self.time(71), &failures))
    #expect(!take(0, of: 7, at: Self.time(71), &failures))
    #expect(!take(131_072, of: 7, at: Self.time(71), &failures))
    #expect(!take(4096, of: 7, at: Self.time(76), &failures))
  }

  @Test func aReadThatFailedQuicklyIsTriedAgain() {
    var failures = RecentFailures()
    failures.insert(0..<4096, of: 7, begunAt: Self.time(10), at: Self.time(10))
    #expect(!take(0, of: 7, at: Self.time(10), &failures))
  }

  @Test func ofManyTheLastAreKept() {
    var failures = RecentFailures()
    for inode in 0..<1000 as Range<UInt64> {
      failures.insert(0..<4096, of: inode, begunAt: Self.time(0), at: Self.time(60))
    }
    #expect(!take(0, of: 900, at: Self.time(61), &failures))
    #expect(take(0, of: 999, at: Self.time(61), &failures))
  }
}
