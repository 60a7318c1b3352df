/// Says how far a warm-up is.
struct WarmProgress: Sendable {
  let run: WarmRun
  let shardCount: Int
  let totalBytes: Int64
  private let startedAt = ContinuousClock.now

  init(_ run: WarmRun, shardCount: Int, totalBytes: Int64) {
    self.run = run
    self.shardCount = shardCount
    self.totalBytes = totalBytes
  }

  /// The line that says so; see `ProgressLine`.
  var line: ProgressLine { ProgressLine(text: text) }

  private func text(width: Int?) -> String {
    let standing = run.standing
    let seconds = startedAt.duration(to: .now) / .seconds(1)
    let rate = seconds > 0 ? Double(standing.doneBytes) / seconds : 0
    var parts = [
      "\(SizeText.bytes(standing.doneBytes)) of \(SizeText.bytes(totalBytes))",
      "\(NumberText.grouped(standing.doneShards)) of \(NumberText.counted(shardCount, "shard"))",
      SizeText.rate(bytesPerSecond: rate),
    ]
    if rate > 0 {
      let rest = Double(max(0, totalBytes - standing.doneBytes)) / rate
      parts.append("\(SizeText.clock(seconds: rest)) to go")
    }
    guard let width else { return "warming: " + parts.joined(separator: ", ") }
    let words = parts.joined(separator: "  ")
    return ProgressLine.barred(words, standing.doneBytes, of: totalBytes, width: width)
  }
}
