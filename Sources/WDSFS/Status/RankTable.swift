/// A line for each rank: how far it is, how long to go, and who waits for what.
///
/// On a narrow terminal columns go, the least telling first; of more ranks than lines the first are
/// shown, and a last line speaks for the others.
struct RankTable: Sendable {
  let width: Int

  /// Lines there are; nil for as many as are wanted.
  let height: Int?

  private struct Column {
    let title: String
    let isLeft: Bool

    /// The least goes first where there is no room.
    let weight: Int
    let cell: (StatusReport.Rank) -> StyledText
  }

  private static let barWidths = 6...30
  private static let gap = 2

  func lines(_ ranks: [StatusReport.Rank]) -> [StyledText] {
    guard !ranks.isEmpty else {
      return [StyledText("no rank has been read yet", .faint)]
    }
    let room = height.map { max(0, $0 - 1) } ?? ranks.count
    let shown = ranks.count <= room ? ranks[...] : ranks.prefix(max(0, room - 1))
    var lines = table(shown)
    if shown.count < ranks.count { lines.append(rest(ranks[shown.endIndex...])) }
    return lines
  }

  private func table(_ ranks: ArraySlice<StatusReport.Rank>) -> [StyledText] {
    var columns = Self.columns
    var widths = Self.widths(columns, ranks)
    func total() -> Int {
      widths.reduce(0, +) + Self.gap * columns.count + Self.barWidths.lowerBound
    }
    while columns.count > 1, total() > width,
      let least = columns.indices.min(by: { columns[$0].weight < columns[$1].weight })
    {
      columns.remove(at: least)
      widths.remove(at: least)
    }
    let bar = min(
      Self.barWidths.upperBound,
      max(0, width - total() + Self.barWidths.lowerBound)
    )
    func line(_ cells: [StyledText], _ barText: StyledText) -> StyledText {
      var line = StyledText("")
      for (number, column) in columns.enumerated() {
        line += cells[number].padded(to: widths[number], onLeft: !column.isLeft)
        line += StyledText(String(repeating: " ", count: Self.gap))
        // The bar stands behind the rank's name.
        if number == 0, bar >= Self.barWidths.lowerBound {
          line += barText.padded(to: bar) + StyledText(String(repeating: " ", count: Self.gap))
        }
      }
      return line
    }
    let titles = columns.map { StyledText($0.title, .heading) }
    return [line(titles, StyledText("progress".prefix(bar).description, .heading))]
      + ranks.map { rank in line(columns.map { $0.cell(rank) }, Self.bar(rank, width: bar)) }
  }

  private static func widths(
    _ columns: [Column],
    _ ranks: ArraySlice<StatusReport.Rank>
  ) -> [Int] {
    columns.map { column in
      max(column.title.count, ranks.map { column.cell($0).width }.max() ?? 0)
    }
  }

  // MARK: Cells

  private static var columns: [Column] {
    [
      Column(title: "rank", isLeft: true, weight: 9) { rank in
        StyledText(PrintableText.oneLine("\(rank.split)/\(rank.rank)")).cut(to: 32)
      },
      Column(title: "", isLeft: false, weight: 8) { rank in
        StyledText(rank.share.map(StatusScreen.percent) ?? "")
      },
      Column(title: "samples", isLeft: false, weight: 3) { rank in
        StyledText(
          NumberText.grouped(rank.consumed)
            + (rank.length.map { " of \(NumberText.grouped($0))" } ?? "")
        )
      },
      Column(title: "epoch", isLeft: false, weight: 2) { StyledText("\($0.epoch)") },
      Column(title: "per s", isLeft: false, weight: 5) { rank in
        StyledText(StatusScreen.number(rank.samplesPerSecond))
      },
      Column(title: "to go", isLeft: false, weight: 7) { rank in
        StyledText(rank.secondsToGo.map { SizeText.clock(seconds: $0) } ?? "-")
      },
      Column(title: "waits for", isLeft: true, weight: 6) { waits(of: $0) },
    ]
  }

  /// Parts below this are of no account.
  private static let leastShare = 0.01

  /// What the training waited for; where that is next to nothing, it is the mount that waits.
  static func waits(of rank: StatusReport.Rank) -> StyledText {
    let waits = rank.waits
    var text = StyledText("")
    for (name, share, style) in [
      ("network", waits.network, StyledText.Style.notable),
      ("throttle", waits.throttle, .bad),
    ] where share >= leastShare {
      if text.width > 0 { text += ", " }
      text += StyledText("\(name) \(Int((share * 100).rounded())) %", style)
    }
    return text.width > 0 ? text : StyledText("its reader", .good)
  }

  private static func bar(_ rank: StatusReport.Rank, width: Int) -> StyledText {
    guard let length = rank.length else {
      return StyledText("not all counted".prefix(width).description, .faint)
    }
    let inner = max(0, width - 2)
    let filled =
      length > 0 ? min(inner, Int(Double(rank.consumed) / Double(length) * Double(inner))) : inner
    return StyledText("[", .faint) + StyledText(String(repeating: "#", count: filled), .good)
      + StyledText(String(repeating: ".", count: inner - filled) + "]", .faint)
  }

  private func rest(_ ranks: ArraySlice<StatusReport.Rank>) -> StyledText {
    var text = "and \(NumberText.counted(ranks.count, "more rank")): "
    text += "\(StatusScreen.number(ranks.reduce(0) { $0 + $1.samplesPerSecond })) samples/s"
    let known = ranks.filter { $0.share != nil }
    if let last = known.min(by: { ($0.share ?? 0) < ($1.share ?? 0) }), let share = last.share {
      text += ", the last of them \(PrintableText.oneLine(last.split))/\(last.rank) at "
      text += StatusScreen.percent(share)
    }
    return StyledText(text, .faint)
  }
}

extension StatusReport.Rank {
  /// How much of its epoch is consumed; nil while its length is not known.
  var share: Double? {
    length.map { $0 > 0 ? min(1, Double(consumed) / Double($0)) : 1 }
  }
}
