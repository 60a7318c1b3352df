import ArgumentParser
import Remote

/// `wdsfs verify`: whether each sample was served once.
struct VerifyCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check by ledgers that each sample was served once.",
    discussion: """
      Over the ledgers of all mounts of a job, all ranks and restarts together:
        wdsfs mount s3://bucket/set /mnt/wds --cursor run7.cursor --ledger node0.tsv
        wdsfs verify node0.tsv node1.tsv

      An epoch's length stands in the ledger once the mount knows it; else say:
        wdsfs verify node*.tsv --samples train=1281167 --samples val=50000

      It ends with 1 where a sample is missing, was served twice, or could not
      be read. What was read in the second before a kill -9 is served again by
      the next mount, as the cursor did not know of it. An epoch still under way
      lacks the rest: --epoch 0 --epoch 1 names those to check.
      """
  )

  @Argument(help: "Ledgers.")
  var ledgers: [String]

  @Option(
    help: ArgumentHelp(
      "Samples in an epoch; of one split as val=50000; may be repeated.",
      valueName: "[split=]n"
    )
  )
  var samples: [String] = []

  @Option(help: ArgumentHelp("Only this epoch; may be repeated.", valueName: "n"))
  var epoch: [Int] = []

  @Flag(help: "As JSON.")
  var json = false

  func run(in program: Program) throws(Failure) -> ExitCode {
    let totals = try SampleTotals(samples)
    var verification = Verification()
    for ledger in ledgers {
      try LedgerReading.add(program.user.absolute(ledger), to: &verification)
    }
    let results = verification.results { split in
      totals.count(ofSplit: String(decoding: split, as: UTF8.self))
    }
    .filter { epoch.isEmpty || epoch.contains($0.name.epoch) }
    guard !results.isEmpty else {
      throw Failure(.usage, "no sample in \(ledgers.joined(separator: ", ")); name other ledgers")
    }
    let report = VerificationReport(verification, results)
    if json {
      try CommandOutput.write(json: report)
    } else {
      try CommandOutput.write(report.text)
    }
    return report.isEachOnce ? .success : .internalError
  }
}

/// What a verification found, as it is shown.
private struct VerificationReport: Encodable {
  let version = 1
  let isEachOnce: Bool
  let badLines: Int
  let lostLines: Int
  let epochs: [Row]

  struct Row: Encodable {
    let split: String
    let epoch: Int

    /// Nil where neither ledgers nor `--samples` say it.
    let expected: Int?

    let served: Int

    /// Nil where it cannot be known.
    let missing: Int?

    let repeated: Int
    let errors: Int
    let surplus: Int
    let filled: Int
    let isEachOnce: Bool
    let firstMissing: String?
    let firstRepeated: String?
  }

  private enum CodingKeys: String, CodingKey {
    case version
    case isEachOnce = "eachOnce"
    case badLines
    case lostLines
    case epochs
  }

  init(
    _ verification: Verification,
    _ results: [(name: Verification.Name, epoch: Verification.Epoch)]
  ) {
    badLines = verification.badLineCount
    lostLines = verification.lostLineCount
    epochs = results.map { name, epoch in
      Row(
        split: PrintableName.text(name.split),
        epoch: name.epoch,
        expected: epoch.expectedCount,
        served: epoch.servedCount,
        missing: epoch.missingCount,
        repeated: epoch.repeatedCount,
        errors: epoch.errorCount,
        surplus: epoch.surplusCount,
        filled: epoch.filledCount,
        isEachOnce: epoch.isEachOnce,
        firstMissing: (epoch.missingCount ?? 0) > 0 ? epoch.firstMissing.map(Self.text) : nil,
        firstRepeated: epoch.firstRepeated.map(Self.text)
      )
    }
    isEachOnce = lostLines == 0 && epochs.allSatisfy(\.isEachOnce)
  }

  private static func text(_ sample: Verification.Sample) -> String {
    let key = sample.key.isEmpty ? "" : " (\(PrintableName.text(sample.key)))"
    return "sample \(sample.number)\(key) of \(PrintableName.text(sample.shard))"
  }

  var text: String {
    var table = TextTable([
      ("split", .left), ("epoch", .right), ("expected", .right), ("served", .right),
      ("missing", .right), ("repeated", .right), ("errors", .right), ("each once", .left),
    ])
    for row in epochs {
      table.add([
        row.split, "\(row.epoch)", row.expected.map(NumberText.grouped) ?? "?",
        NumberText.grouped(row.served), row.missing.map(NumberText.grouped) ?? "?",
        NumberText.grouped(row.repeated), NumberText.grouped(row.errors),
        row.isEachOnce ? (row.expected == nil ? "as far as known" : "yes") : "NO",
      ])
    }
    var text = table.text()
    for row in epochs {
      let name = "\(row.split), epoch \(row.epoch)"
      if let sample = row.firstMissing { text += "\(name): first missing: \(sample)\n" }
      if let sample = row.firstRepeated { text += "\(name): first repeated: \(sample)\n" }
      if row.surplus > 0 {
        text += "\(name): \(NumberText.counted(row.surplus, "sample")) more than there should be\n"
      }
    }
    if epochs.contains(where: { $0.expected == nil }) {
      text += "where the length is not known (?), say --samples SPLIT=N\n"
    }
    if lostLines > 0 {
      text += "\(NumberText.counted(lostLines, "line")) could not be kept by the mounts\n"
    }
    if badLines > 0 {
      text += "\(NumberText.counted(badLines, "line")) could not be read, torn by a crash perhaps\n"
    }
    return text
  }
}
