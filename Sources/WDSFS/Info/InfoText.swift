/// What a dataset holds, for a terminal.
struct InfoText {
  let report: InfoReport
  let terminal: Terminal

  var text: String {
    var text = heading(
      report.remote,
      "\(NumberText.counted(report.splits.count, "split")), "
        + "\(NumberText.counted(report.shards, "shard")), "
        + "\(NumberText.counted(report.samples, "sample")), \(SizeText.bytes(report.bytes))"
    )
    for split in report.splits { text += "\n" + self.text(of: split) }
    guard !report.odd.isEmpty else { return text }
    text += "\n" + terminal.styled("odd", .yellow) + "\n"
    for oddity in report.odd { text += terminal.line(oddity, indent: "  ") }
    return text
  }

  /// A line that begins with what it is about.
  private func heading(_ name: String, _ words: String) -> String {
    let line = terminal.line("\(name): \(words)")
    // A name that is broken itself is none that one would see at once.
    guard line.hasPrefix(name) else { return line }
    return terminal.styled(name, .bold) + line.dropFirst(name.count)
  }

  private func text(of split: InfoReport.Split) -> String {
    var text = heading(
      split.name,
      "\(NumberText.counted(split.shards, "shard")) of "
        + "\(SizeText.bytes(split.shardSizes.mean)) on average, "
        + "\(NumberText.counted(split.samples, "sample")), \(SizeText.bytes(split.bytes))"
    )
    var rows = split.fields
    if rows.count > 1 {
      let sample = InfoReport.Field(
        name: "(sample)",
        samples: split.samples,
        sizes: split.sampleSizes
      )
      rows.append(sample)
    }
    let ranges = rows.map(\.sizes.shown.range).filter { !$0.isEmpty }
    let buckets = (ranges.map(\.lowerBound).min() ?? 0)..<(ranges.map(\.upperBound).max() ?? 0)
    var table = TextTable([
      .left("field"), .right("samples", weight: 5), .right("total", weight: 4),
      .right("mean", weight: 6), .right("smallest", weight: 2), .right("largest", weight: 3),
      .left("sizes", weight: 7),
    ])
    for row in rows {
      table.add([
        row.name, NumberText.grouped(row.samples), SizeText.bytes(row.sizes.bytes),
        SizeText.bytes(row.sizes.mean), SizeText.bytes(row.sizes.least),
        SizeText.bytes(row.sizes.most), row.sizes.shown.bars(over: buckets),
      ])
    }
    text += table.text(indent: "  ", room: terminal.room)
    guard !buckets.isEmpty else { return text }
    let from = SizeText.bytes(SizeHistogram.lowerBound(ofBucket: buckets.lowerBound))
    let words = "sizes: each column doubles, the first begins at \(from)"
    return text + terminal.line(words, indent: "  ")
  }
}
