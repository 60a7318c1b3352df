import Glibc

/// How long things took, counted in buckets that double from 4 µs to 67 s.
///
/// Observing takes no lock and no allocation; the bucket is found by counting bits.
package struct LatencyHistogram: ~Copyable, Sendable {
  /// The last bucket takes what is longer than the last bound.
  private static let sumCell = HistogramValue.bucketCount
  private let cells = AtomicCells(count: HistogramValue.bucketCount + 1)

  package init() {}

  package func observe(nanoseconds: Int) {
    let nanoseconds = max(0, nanoseconds)
    cells.add(1, to: HistogramValue.bucket(ofNanoseconds: nanoseconds))
    cells.add(nanoseconds, to: Self.sumCell)
  }

  package func observe(since start: MonotonicTime) {
    observe(nanoseconds: start.nanosecondsToNow)
  }

  package var value: HistogramValue {
    HistogramValue(
      counts: (0..<HistogramValue.bucketCount).map { cells.sum($0) },
      nanoseconds: cells.sum(Self.sumCell)
    )
  }
}

/// What a histogram held at some moment.
package struct HistogramValue: Hashable, Sendable {
  /// Bounds of 2^2 to 2^26 µs, and what lies beyond.
  static let bucketCount = 26
  private static let firstBits = 2

  /// By bucket; not cumulative.
  package private(set) var counts: [Int]
  package private(set) var nanoseconds: Int

  package init() {
    self.init(counts: Array(repeating: 0, count: Self.bucketCount), nanoseconds: 0)
  }

  /// What was counted elsewhere, of which only the buckets are known; nil where they are not ours.
  package init?(counts: [Int]) {
    guard counts.count == Self.bucketCount, counts.allSatisfy({ $0 >= 0 }) else { return nil }
    self.init(counts: counts, nanoseconds: 0)
  }

  init(counts: [Int], nanoseconds: Int) {
    self.counts = counts
    self.nanoseconds = nanoseconds
  }

  package var count: Int { counts.reduce(0, &+) }
  package var seconds: Double { Double(nanoseconds) / 1e9 }

  /// A bucket's inclusive upper bound in seconds; infinite for the last.
  package static func upperBound(ofBucket bucket: Int) -> Double {
    guard bucket < bucketCount - 1 else { return .infinity }
    return Double(1 << (bucket + firstBits)) / 1e6
  }

  static func bucket(ofNanoseconds nanoseconds: Int) -> Int {
    // Rounded up to whole microseconds, since a bound belongs to the bucket below it.
    let microseconds = nanoseconds / 1000 + (nanoseconds % 1000 > 0 ? 1 : 0)
    guard microseconds > 1 << firstBits else { return 0 }
    let bits = Int.bitWidth - (microseconds - 1).leadingZeroBitCount
    return min(bits - firstBits, bucketCount - 1)
  }

  /// About how long the given share of what was counted took at most; nil where nothing was.
  ///
  /// Straight between a bucket's bounds, as Prometheus's `histogram_quantile` does it; the last
  /// bucket answers its lower bound.
  package func quantile(_ share: Double) -> Double? {
    let count = count
    guard count > 0 else { return nil }
    let wanted = min(1, max(0, share)) * Double(count)
    var below = 0.0
    for (bucket, number) in counts.enumerated() where number > 0 {
      let next = below + Double(number)
      guard next >= wanted else {
        below = next
        continue
      }
      let lower = bucket == 0 ? 0 : Self.upperBound(ofBucket: bucket - 1)
      let upper = Self.upperBound(ofBucket: bucket)
      guard upper.isFinite else { return lower }
      return lower + (upper - lower) * (wanted - below) / Double(number)
    }
    return nil
  }
}

/// A moment, for measuring how long something takes.
package struct MonotonicTime: Hashable, Sendable {
  package let nanoseconds: Int

  package init(nanoseconds: Int) {
    self.nanoseconds = nanoseconds
  }

  /// Calls `clock_gettime`, which needs no system call.
  package static var now: MonotonicTime {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicTime(nanoseconds: time.tv_sec &* 1_000_000_000 &+ time.tv_nsec)
  }

  package var nanosecondsToNow: Int { MonotonicTime.now.nanoseconds &- nanoseconds }
}
