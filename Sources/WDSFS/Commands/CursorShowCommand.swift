import ArgumentParser
import SampleOrder

/// `wdsfs cursor show`: how far the ranks of a cursor are, in words and bars, and as JSON.
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
    var splits: Set<String> = []
    for report in reports { splits.formUnion(report.splits.map(\.name)) }
    try totals.check(against: splits.sorted())
    if json {
      try CommandOutput.write(json: CursorReports(files: reports))
    } else {
      try CommandOutput.write(
        reports.map { $0.text(totals, program.outputTerminal) }.joined(separator: "\n")
      )
    }
    return .success
  }
}
