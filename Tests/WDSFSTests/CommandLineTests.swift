import Glibc
import TestSupport
import Testing
import WDSFS

/// The built program, from outside: one line and the code of the contract.
@Suite struct CommandLineTests {
  @Test(
    "A wrong command line ends with code 2 and one line",
    arguments: [
      ([], "no remote is given; see wdsfs --help, and wdsfs mount --help"),
      (["statsu"], "no command, and no remote and mountpoint: statsu; see wdsfs --help"),
      (["mount"], "no remote is given; see wdsfs --help, and wdsfs mount --help"),
      (
        ["mont", "s3://b", "/m"],
        "no such command: 'mont'; did you mean wdsfs mount? See wdsfs --help"
      ),
      (["cache", "lst"], "no such command: 'cache lst'; did you mean wdsfs cache list? See"),
      (
        ["cursor", "shwo", "x"],
        "no such command: 'cursor shwo'; did you mean wdsfs cursor show? See"
      ),
      (["cache", "frobnicate"], "unexpected argument 'frobnicate'; see wdsfs cache --help"),
      (
        ["cache", "list", "--jsn"],
        "unknown option '--jsn'; did you mean '--json'? See wdsfs cache list"
      ),
      (["cache", "list", "--cache-dir", "memory"], "--cache-dir memory keeps nothing"),
      (
        ["plan", "s4://b"],
        "wdsfs: the remote s4://b cannot be read; write s3://bucket/prefix"
      ),
      (["s3://b"], "missing expected argument '<mountpoint>'"),
      (["mount", "s3://b", "/m", "--bogus"], "unknown option '--bogus'"),
      (["mount", "s3://b", "/m", "--worldsize", "2"], "--world-size"),
      (["mount", "s3://b", "/m", "more"], "unexpected argument 'more'"),
      (["mount", "s3://b", "/m", "--rank"], "missing value for '--rank"),
      (["mount", "s3://b", "/m", "--world-size", "0"], "world size 0 from --world-size"),
      (["s3://b", "/m", "--world-size", "4", "--rank", "4"], "rank 4 from --rank"),
      (["mount", "s3://b", "/m", "-o", "nosuch=1"], "unknown mount option: -o nosuch"),
      (["unmount"], "missing expected argument '<mountpoint>'"),
      (["unmount", "/m", "--bogus"], "unknown option '--bogus'"),
    ]
  )
  func usageErrors(_ arguments: [String], _ words: String) throws {
    let run = try ProgramRun(arguments)
    #expect(run.exitCode == 2)
    #expect(run.output.isEmpty)
    #expect(run.isOneLine && run.errors.contains(words), "\(run.errors)")
  }

  @Test func variablesAreReadAndNamed() throws {
    let run = try ProgramRun(["mount", "s3://b", "/m"], ["WORLD_SIZE": "2", "RANK": "3"])
    #expect(run.exitCode == 2)
    #expect(run.isOneLine && run.errors.contains("rank 3 from RANK"), "\(run.errors)")
  }

  @Test(
    "A mountpoint that cannot be used ends with code 6, in the background as in the foreground",
    arguments: [[], ["-f", "--log-level", "error"]]
  )
  func badMountpoints(_ options: [String]) throws {
    let folder = try TemporaryDirectory()
    let file = try folder.write([], to: "file")
    let places = [
      (folder.path + "/none", "no such directory"), (file, "not a directory"),
      (folder.path, "not empty"), ("/proc", "already a mount"),
    ]
    for (place, words) in places {
      let run = try ProgramRun(["mount", "s3://b", place] + options)
      #expect(run.exitCode == 6)
      #expect(run.isOneLine && run.errors.hasPrefix("wdsfs: \(words): \(place)"), "\(run.errors)")
    }
  }

  @Test func anUnknownVariableGetsOneWarningAndTestVariablesNone() throws {
    let folder = try TemporaryDirectory()
    let variables = ["WDSFS_BOGUS": "1", "WDSFS_TEST_X": "1"]
    let run = try ProgramRun(["mount", "s3://b", folder.path + "/none"], variables)
    let lines = run.errors.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(
      lines.first?.hasPrefix("wdsfs: warning: no option has this variable: WDSFS_BOGUS;") == true
    )
  }

  @Test func aStatusPipeThatIsNoneIsNotWrittenTo() throws {
    let folder = try TemporaryDirectory()
    for number in ["1", "77", "-1", "x", ""] {
      let variables = ["_WDSFS_STATUS_FD": number]
      let run = try ProgramRun(["mount", "s3://b", folder.path + "/none", "-f"], variables)
      #expect(run.exitCode == 6)
      #expect(run.errors.hasSuffix("make it with mkdir -p \(folder.path)/none\n"))
      #expect(run.output.isEmpty)
    }
  }

  @Test func aLogThatCannotBeOpenedIsSaid() throws {
    let folder = try TemporaryDirectory()
    let run = try ProgramRun(["mount", "/none", folder.path, "--log-file", "/nonexistent/l"])
    #expect(run.exitCode == 2)
    #expect(run.isOneLine && run.errors.contains("/nonexistent/l"))
  }

  @Test func theLogFileIsOursAlone() throws {
    let folder = try TemporaryDirectory()
    let log = folder.path + "/log"
    let place = try folder.makeDirectory("m")
    _ = try ProgramRun(["mount", folder.path + "/none", place, "--log-file", log])
    var status = stat()
    #expect(stat(log, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(status.st_size > 0)
  }

  @Test func aLogThatIsFullOrClosedChangesNothing() throws {
    let folder = try TemporaryDirectory()
    let words = ["mount", folder.path + "/none", try folder.makeDirectory("m")]
    let run = try ProgramRun(words)
    #expect(run.exitCode != 0 && run.isOneLine)
    for log in ["/dev/full", "/dev/null"] {
      let other = try ProgramRun(words + ["--log-file", log])
      #expect(other.exitCode == run.exitCode)
      #expect(other.errors == run.errors)
    }
  }

  @Test func unmountRefusesWhatIsNotOurs() throws {
    let run = try ProgramRun(["unmount", "/proc"])
    #expect(run.exitCode == 6)
    #expect(run.isOneLine && run.errors.contains("not a mount of wdsfs"))
  }

  @Test func helpTeachesByExampleAndNamesEveryOption() throws {
    let help = try ProgramRun(["mount", "--help"])
    #expect(help.exitCode == 0)
    #expect(help.errors.isEmpty)
    for name in OptionName.allCases {
      #expect(help.output.contains(name.isArgument ? "<\(name)>" : "--" + name.rawValue))
    }
    for title in ["THE TREE:", "THE CACHE:", "wdsfs mount s3://"] {
      #expect(help.output.contains(title))
    }
    let root = try ProgramRun(["--help"])
    #expect(root.exitCode == 0)
    #expect(root.output.contains("wdsfs unmount /mnt/wds"))
  }

  @Test func theVersionIsPrinted() throws {
    let run = try ProgramRun(["--version"])
    #expect(run.exitCode == 0)
    #expect(run.output.hasPrefix("wdsfs "))
  }
}
