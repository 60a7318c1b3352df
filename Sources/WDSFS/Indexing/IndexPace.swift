/// How fast a dataset is gone through, from what was seen in the last seconds.
struct IndexPace {
  /// Long enough that a single large shard does not make it jump.
  private static let window: Duration = .seconds(15)

  private var seen: [(time: Duration, bytes: Int64)] = []

  /// Notes how many bytes were passed up to a time.
  mutating func note(_ bytes: Int64, at time: Duration) {
    seen.append((time, bytes))
    while seen.count > 2, time - seen[1].time >= Self.window { seen.removeFirst() }
  }

  /// Bytes a second; nil while too little was seen.
  var bytesPerSecond: Double? {
    guard let first = seen.first, let last = seen.last, last.time - first.time >= .seconds(1)
    else { return nil }
    let seconds = (last.time - first.time) / .seconds(1)
    return Double(last.bytes - first.bytes) / seconds
  }

  /// The time that so many further bytes will take, in seconds; nil while nobody can say.
  func secondsToGo(_ bytes: Int64) -> Double? {
    guard let rate = bytesPerSecond, rate > 0 else { return nil }
    return Double(max(0, bytes)) / rate
  }
}
