import FoundationEssentials
import TestSupport
import Testing

/// What botocore says to the cases of a table: a script of `Tests/Oracle`.
///
/// Needs a Python with boto3, named by `WDSFS_TEST_PYTHON`.
enum BotocoreOracle {
  static var isAvailable: Bool { RunningProcess.variable("WDSFS_TEST_PYTHON") != nil }

  /// The answers, one for each case.
  static func answers(
    _ script: String,
    to cases: [some Encodable],
    in files: TemporaryDirectory
  ) throws -> [String] {
    try files.write(try JSONEncoder().encode(cases), to: "cases.json")
    let python = try #require(RunningProcess.variable("WDSFS_TEST_PYTHON"))
    let root = String(#filePath).split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
    let run = try RunningProcess(
      "/bin/sh",
      [
        "-c", "\"$0\" \"$@\" 2>/dev/null >\"$ANSWERS\"", python, "\(root)/Tests/Oracle/\(script)",
        files.path + "/cases.json",
      ],
      environment: ["ANSWERS": files.path + "/answers.json"]
    )
    #expect(run.wait() == 0)
    let text = try SmallFileText.read(files.path + "/answers.json")
    let answers = try JSONDecoder().decode([String].self, from: Data(text.utf8))
    try #require(answers.count == cases.count)
    return answers
  }
}
