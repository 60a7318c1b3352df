/// Lays a report out for a terminal of any size.
struct StatusScreen: Sendable {
  var width = 100

  /// Lines there are; nil for as many as are wanted.
  var height: Int?

  private static let labelWidth = 9
  private static let cellWidth = 18

  /// The lines, none wider than the terminal and no more than it has.
  func lines(_ report: StatusReport) -> [StyledText] {
    var lines = [header(report), ""]
    lines.append(row("read", reads(report.reads)))
    lines.append(row("cache", cache(report)))
    lines.append(row("network", network(report.requests)))
    lines.append(row("retries", retries(report.requests)))
    if let process = report.process { lines.append(row("process", cells(process))) }
    lines.append("")
    let rest = height.map { max(0, $0 - lines.count) }
    lines += RankTable(width: width, height: rest).lines(report.ranks)
    let shown = height.map { Array(lines.prefix($0)) } ?? lines
    return shown.map { $0.cut(to: width) }
  }

  private func header(_ report: StatusReport) -> StyledText {
    let name =
      StyledText("wdsfs ", .bold) + StyledText(PrintableText.oneLine(report.remote))
      + StyledText(" on ", .faint) + StyledText(PrintableText.oneLine(report.mountpoint))
    let uptime = StyledText("up \(SizeText.clock(seconds: report.uptimeSeconds))", .faint)
    // The line is the name's first; the time goes where there is no room.
    guard name.width + 2 + uptime.width <= width else { return name }
    return name.padded(to: width - uptime.width) + uptime
  }

  // MARK: Rows

  /// A label and cells, as many as there is room for: the first are the most telling.
  private func row(_ label: String, _ cells: [StyledText]) -> StyledText {
    var line = StyledText(label, .heading).padded(to: Self.labelWidth)
    for (number, cell) in cells.enumerated() {
      let isLast = number == cells.count - 1
      guard line.width + cell.width <= width else { break }
      line += isLast ? cell : cell.padded(to: Self.cellWidth)
    }
    return line
  }

  private func reads(_ reads: StatusReport.Reads) -> [StyledText] {
    var cells = [
      StyledText(SizeText.rate(bytesPerSecond: reads.bytesPerSecond), .bold),
      StyledText("\(Self.number(reads.samplesPerSecond)) samples/s"),
      reads.waiting > 0 ? StyledText("\(reads.waiting) waiting", .notable) : "none waiting",
    ]
    cells += times(reads.seconds)
    if reads.errors > 0 {
      cells.insert(StyledText(NumberText.counted(reads.errors, "error"), .bad), at: 2)
    }
    return cells
  }

  private func cache(_ report: StatusReport) -> [StyledText] {
    let cache = report.cache
    let hits = report.reads.hitRate.map { rate -> StyledText in
      let text = "\(Self.percent(rate)) hits"
      return StyledText(text, rate >= 0.95 ? .good : rate >= 0.7 ? .plain : .notable)
    }
    let share = Double(cache.usedBytes) / Double(max(1, cache.budgetBytes))
    return [
      hits ?? "no reads",
      StyledText("\(SizeText.bytes(cache.usedBytes)) \(cache.place)"),
      StyledText("\(Self.percent(share)) of \(SizeText.bytes(cache.budgetBytes))"),
      StyledText("\(Self.number(cache.evictionsPerSecond)) evicted/s"),
    ]
  }

  private func network(_ requests: StatusReport.Requests) -> [StyledText] {
    let limit = requests.inFlightLimit > 0 ? " of \(requests.inFlightLimit)" : ""
    return [
      StyledText(SizeText.rate(bytesPerSecond: requests.bytesPerSecond)),
      StyledText("\(Self.number(requests.perSecond)) requests/s"),
      StyledText("\(requests.inFlight)\(limit) in flight"),
    ] + times(requests.seconds)
  }

  private func retries(_ requests: StatusReport.Requests) -> [StyledText] {
    let causes = requests.retriesByCause.filter { $0.value > 0 }
      .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { "\(NumberText.grouped($0.value)) \($0.key)" }.joined(separator: ", ")
    let isBusy = requests.retriesPerSecond > 0
    var cells = [
      StyledText("\(Self.number(requests.retriesPerSecond)) /s", isBusy ? .notable : .plain),
      StyledText(requests.retries == 0 ? "none since mount" : "\(requests.retries) since mount"),
    ]
    if requests.isThrottled { cells.append(StyledText("throttled now", .bad)) }
    if requests.failures > 0 {
      cells.append(StyledText("\(NumberText.grouped(requests.failures)) given up", .bad))
    }
    if !causes.isEmpty { cells.append(StyledText(causes, .faint)) }
    return cells
  }

  private func cells(_ process: StatusReport.Process) -> [StyledText] {
    var cells = [StyledText("\(Self.percent(process.processors)) of a core")]
    if let bytes = process.memoryBytes {
      cells.append(StyledText("\(SizeText.bytes(Int64(bytes))) memory"))
    }
    if let files = process.openFiles {
      cells.append(StyledText("\(NumberText.grouped(files)) open files"))
    }
    return cells
  }

  private func times(_ seconds: StatusReport.Quantiles) -> [StyledText] {
    func cell(_ name: String, _ value: Double?) -> StyledText {
      StyledText(name + " ", .faint) + StyledText(value.map(Self.time) ?? "-")
    }
    return [cell("median", seconds.p50), cell("99 %", seconds.p99)]
  }

  // MARK: Numbers

  /// `0`, `0.3`, `12`, `4,812`.
  static func number(_ value: Double) -> String {
    guard value.isFinite, value < 1e15 else { return "?" }
    if value == 0 || value >= 9.95 { return NumberText.grouped(Int(value.rounded())) }
    let tenths = max(1, Int((value * 10).rounded()))
    return "\(tenths / 10).\(tenths % 10)"
  }

  /// `98.7 %`; never rounded up to all, nor down to nothing.
  static func percent(_ share: Double) -> String {
    guard share.isFinite, share > 0 else { return "0 %" }
    if share >= 1 { return "\(Int(min(share, 1e6) * 100)) %" }
    let tenths = min(999, max(1, Int((share * 1000).rounded())))
    return tenths % 10 == 0 ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
  }

  /// `85 µs`, `3.1 ms`, `1.2 s`.
  static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<1e-3: "\(number(seconds * 1e6)) µs"
    case ..<1: "\(number(seconds * 1e3)) ms"
    default: "\(number(seconds)) s"
    }
  }
}
