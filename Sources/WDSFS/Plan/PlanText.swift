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
    words +=
      "\(span([split.smallestShardBytes, split.largestShardBytes], SizeText.bytes)), together "
    words += "\(SizeText.bytes(split.bytes)), "
    words += "\(about)\(NumberText.counted(split.samples, "sample"))"
    var text = terminal.styled(name, .bold) + "  "
    text += Terminal.wrapped(words, width: terminal.width - name.count - 3, indent: "  ") + "\n"
    text += row(
      "order",
      "shuffle \(plan.shuffle), seed \(plan.seed), \(NumberText.counted(split.lanes, "lane")), "
        + "window \(split.shuffleWindow), partition \(split.partition)"
    )
    let samples = span(split.ranks.map(\.samples), NumberText.grouped)
    text += row(
      "ranks",
      plan.worldSize == 1
        ? "1, which reads all"
        : "\(plan.worldSize), each \(span(split.ranks.map(\.shards), NumberText.grouped)) "
          + "\(split.ranks.allSatisfy { $0.shards == 1 } ? "shard" : "shards") or parts of one, \(span(split.ranks.map(\.bytes), SizeText.bytes)), "
          + "\(about)\(samples) samples"
    )
    var requests = "\(NumberText.counted(split.requests, "range GET")) an epoch over all ranks"
    if split.countingRequests > 0 {
      requests += ", up to \(NumberText.grouped(split.countingRequests)) before it to count"
    }
    text += row("requests", requests)
    text += row("transfer", "an epoch takes \(transferTimes(of: split))")
    text += row(
      "mixed",
      split.shuffleBufferSamples > 0
        ? "like a shuffle buffer of about \(NumberText.counted(split.shuffleBufferSamples, "sample")), "
          + "\(percent(split.shuffleBufferSamples, split.samples)) of the split"
        : "not: \(plan.shuffle == "shards" ? "shards change places only" : "as the samples lie")"
    )
    return text
  }

  /// On networks of three sizes, up to the first for which it is a trifle.
  private func transferTimes(of split: Plan.Split) -> String {
    var times: [String] = []
    for gigabits in [1, 10, 100] {
      let seconds = Double(split.bytes) * split.timesFetched * 8 / (Double(gigabits) * 1e9)
      let isTrifle = seconds < 1
      let time = isTrifle ? "less than a second" : SizeText.clock(seconds: seconds)
      times.append("\(time) at \(gigabits) Gbit/s")
      if isTrifle { break }
    }
    return times.joined(separator: ", ")
  }

  private var cacheLine: String {
    // What the local ranks read of an epoch, which later epochs read again.
    let read = plan.splits.map(\.bytes).sum / Int64(max(1, plan.worldSize)) * Int64(plan.localRanks)
    let needed = plan.neededCacheBytes
    let ranks = NumberText.counted(plan.localRanks, "rank")
    var words = "\(SizeText.bytes(plan.cacheBytes)) with these options; "
    words += "\(PlanWarnings.roundedUp(needed)) are enough for nothing to be fetched twice "
    if read > needed {
      words += "in an epoch (\(ranks) here), "
      words += "\(PlanWarnings.roundedUp(read)) for later epochs to fetch nothing"
    } else {
      words += "(\(ranks) here)"
    }
    return terminal.styled("cache", .bold) + "  "
      + Terminal.wrapped(words, width: terminal.width - 8, indent: "       ") + "\n"
  }

  /// From the least to the most of some values, as they are written.
  private func span<Value: Comparable>(_ values: [Value], _ text: (Value) -> String) -> String {
    guard let least = values.min().map(text), let most = values.max().map(text) else { return "0" }
    return least == most ? least : "\(least) to \(most)"
  }

  private func percent(_ part: Int, _ whole: Int) -> String {
    guard whole > 0 else { return "0 %" }
    let share = Double(part) / Double(whole) * 100
    return share < 10 ? "\(Double(Int(share * 10)) / 10) %" : "\(Int(share)) %"
  }
}
