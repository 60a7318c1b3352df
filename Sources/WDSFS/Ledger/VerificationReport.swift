import Remote

/// What a verification found, as it is shown.
struct VerificationReport: Encodable {
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

  func text(_ terminal: Terminal) -> String {
    var table = TextTable([
      .left("split"), .right("epoch"), .right("expected", weight: 3), .right("served", weight: 2),
      .right("missing", weight: 5), .right("repeated", weight: 4), .right("errors", weight: 1),
      .left("each once"),
    ])
    for row in epochs {
      table.add([
        row.split, "\(row.epoch)", row.expected.map(NumberText.grouped) ?? "?",
        NumberText.grouped(row.served), row.missing.map(NumberText.grouped) ?? "?",
        NumberText.grouped(row.repeated), NumberText.grouped(row.errors),
        row.isEachOnce ? (row.expected == nil ? "as far as known" : "yes") : "NO",
      ])
    }
    return table.text(room: terminal.room) + remarks.map { terminal.line($0) }.joined()
  }

  private var remarks: [String] {
    var remarks: [String] = []
    for row in epochs {
      let name = "\(row.split), epoch \(row.epoch)"
      if let sample = row.firstMissing { remarks.append("\(name): first missing: \(sample)") }
      if let sample = row.firstRepeated { remarks.append("\(name): first repeated: \(sample)") }
      if row.surplus > 0 {
        let surplus = NumberText.counted(row.surplus, "sample")
        remarks.append("\(name): \(surplus) more than there should be")
      }
    }
    if epochs.contains(where: { $0.expected == nil }) {
      remarks.append("where the length is not known (?), say --samples SPLIT=N")
    }
    if lostLines > 0 {
      remarks.append("\(NumberText.counted(lostLines, "line")) could not be kept by the mounts")
    }
    if badLines > 0 {
      let lines = NumberText.counted(badLines, "line")
      remarks.append("\(lines) could not be read, torn by a crash perhaps")
    }
    return remarks
  }
}
