import ArgumentParser

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
      try CommandOutput.write(report.text(program.outputTerminal))
    }
    return report.isEachOnce ? .success : .internalError
  }
}
