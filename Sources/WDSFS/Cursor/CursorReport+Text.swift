extension CursorReport {
  /// The state of a cursor in words, with a bar for each rank.
  func text(_ totals: SampleTotals, _ terminal: Terminal) -> String {
    var text = terminal.line(PrintableText.oneLine("\(file): save \(sequence)"))
    var order = "order: shuffle \(shuffle), seed \(seed), shuffle window \(shuffleWindow)"
    order += ", lanes \(lanesAsked.map { "\($0)" } ?? "by default")"
    order += equalize.map { ", equalize \($0)" } ?? ""
    text += terminal.line(order, indent: "  ")
    if let heldRanks, let worldSize {
      let held = "holds \(heldRanks.count) of \(NumberText.counted(worldSize, "rank")): "
      let ranks = NumberText.ranges(heldRanks)
      let advice = "; for another world size, merge those of all nodes"
      text += terminal.line(held + ranks + advice, indent: "  ")
    }
    for split in splits {
      let total = totals.count(ofSplit: split.name)
      text += "\n" + split.text(worldSize: worldSize ?? 1, total: total, terminal)
    }
    return text
  }
}

extension CursorReport.Split {
  /// So many ranks are shown; all of them are in the JSON.
  private static let maxRows = 64

  fileprivate func text(worldSize: Int, total: Int?, _ terminal: Terminal) -> String {
    var lines = [
      PrintableText.oneLine("\(name): \(NumberText.counted(worldSize, "rank"))")
        + ", partition \(partition), \(NumberText.counted(lanes, "lane"))",
      PrintableText.oneLine("of \(fingerprint)"),
    ]
    if !skippedShards.isEmpty {
      lines.append(
        "without \(NumberText.counted(skippedShards.count, "shard")) that cannot be read"
      )
    }
    if !earlierWorldSizes.isEmpty {
      let sizes = earlierWorldSizes.map { "\($0)" }.joined(separator: ", then ")
      lines.append("read at world size \(sizes) before")
    }
    return lines.map { terminal.line($0, indent: "  ") }.joined()
      + table(worldSize: worldSize, total: total, terminal)
  }

  private func table(worldSize: Int, total: Int?, _ terminal: Terminal) -> String {
    var table = TextTable([
      .right("rank"), .right("epoch", weight: 2), .left("progress"), .right("read", weight: 3),
      .left("", weight: 1),
    ])
    let barWidth = terminal.isNarrow ? 12 : (terminal.room ?? 120) < 110 ? 16 : 30
    let shown = ranks.prefix(Self.maxRows)
    // What the user says holds for all ranks alike; they differ by little, or the bar is full early.
    let share = total.map { ($0 + worldSize - 1) / worldSize }
    for rank in shown {
      // What the mount has counted is no matter of opinion.
      let length = rank.length ?? share
      table.add([
        "\(rank.rank)", "\(rank.epoch)", rank.bar(of: length, width: barWidth),
        rank.count(of: length), rank.words,
      ])
    }
    var text = table.text(indent: "  ", room: terminal.room)
    if total == nil, shown.contains(where: { $0.length == nil && $0.next != nil && $0.next != 0 }) {
      text += terminal.line(
        "(no bar: not all of that epoch was counted; --samples says how many there are)",
        indent: "  "
      )
    }
    if ranks.count > Self.maxRows {
      text += "  and \(NumberText.counted(ranks.count - Self.maxRows, "more rank")); see --json\n"
    }
    return text
  }
}

extension CursorReport.Rank {
  /// How much of the epoch is consumed; empty where nobody knows.
  fileprivate func bar(of whole: Int?, width: Int) -> String {
    guard let consumed else { return NumberText.bar(1, of: 1, width: width) + " 100 %" }
    guard let whole, whole > 0 else {
      return consumed == 0 ? NumberText.bar(0, of: 1, width: width) + " 0 %" : ""
    }
    let percent = min(100, Int(Double(consumed) / Double(whole) * 100))
    return NumberText.bar(consumed, of: whole, width: width) + " \(percent) %"
  }

  fileprivate func count(of whole: Int?) -> String {
    guard let consumed else { return whole.map { "all \(NumberText.grouped($0))" } ?? "all" }
    return NumberText.grouped(consumed) + (whole.map { " of \(NumberText.grouped($0))" } ?? "")
  }

  /// What is consumed, as far as a number does not say it.
  fileprivate var words: String {
    var words = ""
    if let next, gaps > 0, let consumed {
      words =
        "all below \(NumberText.grouped(next)), and \(NumberText.grouped(consumed - next)) "
        + "in \(NumberText.counted(gaps, "piece")) beyond"
    } else if next == nil {
      words = "the epoch is over"
    } else if next == 0 {
      words = "nothing yet"
    } else if let next {
      words = "all below \(NumberText.grouped(next))"
    }
    return committedAt == nil ? words : words + ", committed"
  }
}
