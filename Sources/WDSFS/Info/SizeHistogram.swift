/// How many of something have which size, by powers of two.
struct SizeHistogram: Hashable, Sendable {
  /// Bucket n holds sizes of n bits: 0 alone, then 1, 2 to 3, 4 to 7 and so on.
  private(set) var counts = [Int](repeating: 0, count: 64)
  private(set) var total = 0
  private(set) var bytes: Int64 = 0
  private(set) var least = Int64.max
  private(set) var most: Int64 = 0

  mutating func add(_ size: Int64) {
    let size = max(0, size)
    counts[Self.bucket(of: size)] += 1
    total += 1
    bytes = bytes.addingReportingOverflow(size).overflow ? .max : bytes + size
    least = min(least, size)
    most = max(most, size)
  }

  mutating func add(_ other: SizeHistogram) {
    for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
    total += other.total
    let (sum, isOver) = bytes.addingReportingOverflow(other.bytes)
    bytes = isOver ? .max : sum
    least = min(least, other.least)
    most = max(most, other.most)
  }

  var mean: Int64 { total > 0 ? bytes / Int64(total) : 0 }

  /// The buckets between the smallest and the largest that hold something; empty where none does.
  var range: Range<Int> {
    guard total > 0 else { return 0..<0 }
    return Self.bucket(of: least)..<Self.bucket(of: most) + 1
  }

  static func bucket(of size: Int64) -> Int { Int64.bitWidth - size.leadingZeroBitCount }

  /// The smallest size that a bucket holds.
  static func lowerBound(ofBucket bucket: Int) -> Int64 { bucket == 0 ? 0 : 1 << (bucket - 1) }

  /// One character a bucket, the fullest as high as a line; what holds little still shows.
  func bars(over buckets: Range<Int>) -> String {
    let heights = Array("▁▂▃▄▅▆▇█")
    let highest = buckets.map { counts[$0] }.max() ?? 0
    return String(
      buckets.map { bucket in
        guard counts[bucket] > 0, highest > 0 else { return " " }
        let share = Double(counts[bucket]) / Double(highest)
        return heights[min(heights.count - 1, Int(share * Double(heights.count)))]
      }
    )
  }
}
