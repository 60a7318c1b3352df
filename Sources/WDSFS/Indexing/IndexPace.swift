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

/// Where an indexing run stands, in numbers.
struct IndexStanding {
  var shardCount = 0
  var totalBytes: Int64 = 0
  var doneShards = 0
  var failedShards = 0

  /// Of shards that were known already.
  var knownBytes: Int64 = 0

  /// Read or jumped over.
  var walkedBytes: Int64 = 0

  /// That came over the network.
  var receivedPerSecond: Double?
  var secondsToGo: Double?

  var leftBytes: Int64 { max(0, totalBytes - knownBytes - walkedBytes) }

  /// Says it in one line, with a bar where there is room for it.
  ///
  /// - Parameter width: Of the terminal in columns; nil for a line of a log.
  /// - Returns: The line without its end.
  func text(width: Int?) -> String {
    let passed = totalBytes - leftBytes
    let percent = totalBytes > 0 ? Int(Double(passed) / Double(totalBytes) * 100) : 100
    var parts = [
      "\(min(percent, doneShards < shardCount ? 99 : 100)) %",
      "\(NumberText.grouped(doneShards)) of \(NumberText.counted(shardCount, "shard"))",
    ]
    if failedShards > 0 { parts.append("\(NumberText.grouped(failedShards)) failed") }
    if let receivedPerSecond { parts.append(SizeText.rate(bytesPerSecond: receivedPerSecond)) }
    if let secondsToGo, doneShards < shardCount {
      parts.append("\(SizeText.clock(seconds: secondsToGo)) to go")
    }
    let words = parts.joined(separator: "  ")
    guard let width else { return "indexing: " + parts.joined(separator: ", ") }
    let room = width - words.count - 5
    guard room >= 10 else { return String(words.prefix(max(0, width - 1))) }
    let scale = max(1, totalBytes >> 30)
    let bar = NumberText.bar(
      Int(clamping: passed / scale),
      of: Int(clamping: totalBytes / scale),
      width: min(40, room)
    )
    return bar + "  " + words
  }
}
