/// A report as one line, for logs and pipes.
enum StatusLine {
  static func text(_ report: StatusReport) -> String {
    let (reads, requests) = (report.reads, report.requests)
    var parts = [
      "up \(SizeText.clock(seconds: report.uptimeSeconds))",
      "read \(SizeText.rate(bytesPerSecond: reads.bytesPerSecond))",
      "\(StatusScreen.number(reads.samplesPerSecond)) samples/s",
      reads.hitRate.map { "\(StatusScreen.percent($0)) hits" } ?? "no reads",
      "network \(SizeText.rate(bytesPerSecond: requests.bytesPerSecond))",
      "\(requests.inFlight) in flight",
      "\(StatusScreen.number(requests.retriesPerSecond)) retries/s",
    ]
    if reads.waiting > 0 { parts.append("\(reads.waiting) waiting") }
    if let slowest = report.ranks.filter({ $0.share != nil })
      .min(by: { ($0.share ?? 0) < ($1.share ?? 0) }), let share = slowest.share
    {
      let name = PrintableText.oneLine(slowest.split)
      let place =
        report.ranks.count > 1
        ? "last rank \(name)/\(slowest.rank)" : "rank \(name)/\(slowest.rank)"
      parts.append("\(place) at \(StatusScreen.percent(share))")
      if let seconds = slowest.secondsToGo {
        parts.append("\(SizeText.clock(seconds: seconds)) to go")
      }
    }
    return parts.joined(separator: ", ")
  }
}
