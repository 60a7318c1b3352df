import ArgumentParser
import SampleOrder

/// `wdsfs cursor show`: the state of a cursor in words, bars and JSON.
struct CursorShowCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Say how far each rank is.",
    discussion: """
        wdsfs cursor show run7.cursor
      Bars also of epochs whose length the cursor does not know:
        wdsfs cursor show run7.cursor --samples 1281167
      For programs, and all ranks where there are many:
        wdsfs cursor show run7.cursor --json

      A mount notes how long a rank's epoch is once all of its shards are counted,
      at once where the bucket or the cache has an index.
      The cursor of a mount may be looked at; it is at most a second old.
      """
  )

  @Argument(help: "Cursor files, or directories of them.", completion: .file())
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "Samples in an epoch; of one split as val=50000; may be repeated.",
      valueName: "[split=]n"
    )
  )
  var samples: [String] = []

  @Flag(help: "As JSON.")
  var json = false

  func run(in program: Program) throws(Failure) -> ExitCode {
    let totals = try SampleTotals(samples)
    var reports: [CursorReport] = []
    for path in try CursorArguments.files(files, program.user) {
      reports.append(CursorReport(try CursorReading.cursor(at: path), file: path))
    }
    if json {
      try CommandOutput.write(json: CursorReports(files: reports))
    } else {
      try CommandOutput.write(reports.map { $0.text(totals) }.joined(separator: "\n"))
    }
    return .success
  }
}

private struct CursorReports: Encodable {
  let version = 1
  let files: [CursorReport]
}

/// A cursor as it is shown.
struct CursorReport: Encodable {
  let file: String

  /// How often it was saved.
  let sequence: Int

  let shuffle: String
  let seed: UInt64
  let shuffleWindow: Int
  let equalize: String?

  /// As `--lanes` said; nil for the default.
  let lanesAsked: Int?

  let worldSize: Int?

  /// The ranks that it holds; nil for all.
  let heldRanks: [Int]?

  let splits: [Split]

  struct Split: Encodable {
    let name: String
    let fingerprint: String
    let partition: String
    let lanes: Int
    let skippedShards: [Int]

    /// World sizes at which unfinished epochs were read before, oldest first.
    let earlierWorldSizes: [Int]

    let ranks: [Rank]
  }

  struct Rank: Encodable {
    let rank: Int
    let epoch: Int

    /// The first position that is not consumed; nil where the epoch is over.
    let next: Int?

    /// Consumed positions; nil where the epoch is over.
    let consumed: Int?

    /// How many positions the epoch has; nil where that was not known.
    let length: Int?

    /// Consumed ranges beyond `next`.
    let gaps: Int

    /// Milliseconds since 1970; nil where reads count.
    let committedAt: Int64?
  }

  init(_ cursor: Cursor, file: String) {
    self.file = file
    sequence = cursor.sequence
    shuffle = cursor.shuffle.rawValue
    seed = cursor.seed
    shuffleWindow = cursor.shuffleWindow
    equalize = cursor.equalize?.rawValue
    lanesAsked = cursor.lanesAsked
    worldSize = cursor.worldSize
    heldRanks = cursor.ranks
    splits = cursor.splits.sorted { $0.key < $1.key }.map { name, split in
      Split(
        name: name,
        fingerprint: split.fingerprint,
        partition: split.partition.rawValue,
        lanes: split.present.lanes,
        skippedShards: split.skippedShards,
        earlierWorldSizes: split.earlier.map(\.worldSize),
        ranks: split.present.ranks.enumerated().compactMap { rank, progress in
          cursor.holds(rank: rank) ? Rank(rank, progress) : nil
        }
      )
    }
  }
}

extension CursorReport.Rank {
  fileprivate init(_ rank: Int, _ progress: Progress) {
    self.rank = rank
    epoch = progress.epoch
    let isOver = progress.consumed.next == Int.max
    next = isOver ? nil : progress.consumed.next
    consumed = isOver ? nil : progress.consumed.count
    length = progress.length
    gaps = progress.consumed.gapCount
    committedAt = progress.committedAt
  }
}

// MARK: - In words

extension CursorReport {
  func text(_ totals: SampleTotals) -> String {
    var text = PrintableText.oneLine("\(file): save \(sequence)") + "\n"
    text += "  order: shuffle \(shuffle), seed \(seed), shuffle window \(shuffleWindow)"
    text += ", lanes \(lanesAsked.map { "\($0)" } ?? "by default")"
    text += equalize.map { ", equalize \($0)" } ?? ""
    text += "\n"
    if let heldRanks, let worldSize {
      text += "  holds \(heldRanks.count) of \(NumberText.counted(worldSize, "rank")): "
      text += "\(NumberText.ranges(heldRanks)); for another world size, merge those of all nodes\n"
    }
    for split in splits {
      text += "\n" + split.text(worldSize: worldSize ?? 1, total: totals.count(ofSplit: split.name))
    }
    return text
  }
}

extension CursorReport.Split {
  /// So many ranks are shown; all of them are in the JSON.
  private static let maxRows = 64
  private static let barWidth = 30

  fileprivate func text(worldSize: Int, total: Int?) -> String {
    var text = PrintableText.oneLine("  \(name): \(NumberText.counted(worldSize, "rank"))")
    text += ", partition \(partition), \(NumberText.counted(lanes, "lane"))\n"
    text += PrintableText.oneLine("  of \(fingerprint)") + "\n"
    if !skippedShards.isEmpty {
      text += "  without \(NumberText.counted(skippedShards.count, "shard")) that cannot be read\n"
    }
    if !earlierWorldSizes.isEmpty {
      let sizes = earlierWorldSizes.map { "\($0)" }.joined(separator: ", then ")
      text += "  read at world size \(sizes) before\n"
    }
    var table = TextTable([
      ("rank", .right), ("epoch", .right), ("progress", .left), ("read", .right), ("", .left),
    ])
    let shown = ranks.prefix(Self.maxRows)
    // What the user says holds for all ranks alike; they differ by little, or the bar is full early.
    let share = total.map { ($0 + worldSize - 1) / worldSize }
    for rank in shown {
      table.add([
        "\(rank.rank)", "\(rank.epoch)", rank.bar(of: share ?? rank.length, width: Self.barWidth),
        rank.count(of: share ?? rank.length), rank.words,
      ])
    }
    text += table.text(indent: "  ")
    if total == nil, shown.contains(where: { $0.length == nil && $0.next != nil && $0.next != 0 }) {
      text += "  (no bar: not all of that epoch was counted; --samples says how many there are)\n"
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
    guard let consumed else { return NumberText.bar(1, of: 1, width: width) + " 100%" }
    guard let whole, whole > 0 else {
      return consumed == 0 ? NumberText.bar(0, of: 1, width: width) + " 0%" : ""
    }
    let percent = min(100, Int(Double(consumed) / Double(whole) * 100))
    return NumberText.bar(consumed, of: whole, width: width) + " \(percent)%"
  }

  fileprivate func count(of whole: Int?) -> String {
    guard let consumed else { return whole.map { "all \(NumberText.grouped($0))" } ?? "all" }
    return NumberText.grouped(consumed) + (whole.map { " of \(NumberText.grouped($0))" } ?? "")
  }
}

extension CursorReport.Rank {
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
