/// A plan for a terminal.
struct PlanText {
  let plan: Plan
  let terminal: Terminal

  var text: String {
    var text = terminal.styled(PrintableText.oneLine(plan.remote), .bold) + "\n"
    for (place, warning) in plan.warnings.enumerated() {
      // The first is why one asked.
      let mark = terminal.styled("!", place == 0 ? .red : .yellow)
      let body = Terminal.wrapped(
        PrintableText.oneLine(warning.text),
        width: terminal.width - 4,
        indent: "  "
      )
      text += "\(mark) \(body)\n"
    }
    for split in plan.splits { text += "\n" + self.text(of: split) }
    text += "\n" + cacheLine
    return text
  }

  private static let labelWidth = 10

  private func row(_ label: String, _ words: String) -> String {
    let indent = String(repeating: " ", count: 2 + Self.labelWidth)
    let body = Terminal.wrapped(words, width: terminal.width - indent.count - 1, indent: indent)
    return "  " + terminal.styled(label.padded(to: Self.labelWidth), .dim) + body + "\n"
  }

  private func text(of split: Plan.Split) -> String {
    let about = split.isSampleCountKnown ? "" : "about "
    let name = PrintableText.oneLine(split.name)
    var words = "\(NumberText.counted(split.shards, "shard")) of "
    words += "\(span(split.smallestShardBytes, split.largestShardBytes, SizeText.bytes)), together "
    words += "\(SizeText.bytes(split.bytes)), "
    words += "\(about)\(NumberText.counted(split.samples, "sample"))"
    var text = terminal.styled(name, .bold) + "  "
    text += Terminal.wrapped(words, width: terminal.width - name.count - 3, indent: "  ") + "\n"
    text += row(
      "order",
      "shuffle \(plan.shuffle), seed \(plan.seed), \(NumberText.counted(split.lanes, "lane")), "
        + "window \(split.shuffleWindow), partition \(split.partition)"
    )
    let ranks = split.ranks
    text += row(
      "ranks",
      "\(plan.worldSize), each "
        + "\(span(ranks.map(\.shards).min() ?? 0, ranks.map(\.shards).max() ?? 0) { NumberText.grouped($0) }) "
        + "shards or parts of one, "
        + "\(span(ranks.map(\.bytes).min() ?? 0, ranks.map(\.bytes).max() ?? 0, SizeText.bytes)), "
        + "\(about)\(span(ranks.map(\.samples).min() ?? 0, ranks.map(\.samples).max() ?? 0) { NumberText.grouped($0) }) samples"
    )
    var requests = "\(NumberText.counted(split.requests, "range GET")) an epoch over all ranks"
    if split.countingRequests > 0 {
      requests += ", up to \(NumberText.grouped(split.countingRequests)) before it to count"
    }
    text += row("requests", requests)
    let timed = [(1.0, "1"), (10, "10"), (100, "100")].map { gigabits, name in
      let seconds = Double(split.bytes) * split.timesFetched * 8 / (gigabits * 1e9)
      return "\(SizeText.clock(seconds: seconds)) at \(name) Gbit/s"
    }
    text += row("transfer", "an epoch takes " + timed.joined(separator: ", "))
    text += row(
      "mixed",
      split.shuffleBufferSamples > 0
        ? "like a shuffle buffer of about \(NumberText.counted(split.shuffleBufferSamples, "sample")), "
          + "\(percent(split.shuffleBufferSamples, split.samples)) of the split"
        : "not: \(plan.shuffle == "shards" ? "shards change places only" : "as the samples lie")"
    )
    return text
  }

  private var cacheLine: String {
    let whole = plan.splits.map(\.bytes).sum
    let ranks = plan.localRanks == 1 ? "1 rank" : "\(plan.localRanks) ranks"
    var words = "\(SizeText.bytes(plan.cacheBytes)) with these options; for nothing to be fetched "
    words += "twice in an epoch \(PlanWarnings.roundedUp(plan.neededCacheBytes)) are enough "
    words += "(\(ranks) here), for nothing in later epochs "
    words +=
      "\(PlanWarnings.roundedUp(whole / Int64(max(1, plan.worldSize)) * Int64(plan.localRanks)))"
    return terminal.styled("cache", .bold) + "  "
      + Terminal.wrapped(words, width: terminal.width - 8, indent: "       ") + "\n"
  }

  private func span<Value: Comparable>(
    _ least: Value,
    _ most: Value,
    _ text: (Value) -> String
  ) -> String {
    let (one, other) = (text(least), text(most))
    return one == other ? one : "\(one) to \(other)"
  }

  private func percent(_ part: Int, _ whole: Int) -> String {
    guard whole > 0 else { return "0 %" }
    let share = Double(part) / Double(whole) * 100
    return share < 10 ? "\(Double(Int(share * 10)) / 10) %" : "\(Int(share)) %"
  }
}
