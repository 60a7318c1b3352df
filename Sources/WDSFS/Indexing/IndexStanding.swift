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
    return ProgressLine.barred(words, passed, of: totalBytes, width: width)
  }
}
