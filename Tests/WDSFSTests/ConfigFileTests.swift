import TestSupport
import Testing
import WDSFS

@Suite struct ConfigFileTests {
  @Test func optionsStandInAFileByTheirLongNames() throws {
    let file = try ConfigFile(
      path: "run.toml",
      text: """
        remote = "s3://b/p"
        mountpoint = "/mnt/wds"
        cache-size = "200GB"
        world_size = 8            # with underscores as well
        strict = true
        allow-other = false
        split = ["train", "val=v-*.tar"]
        cursor = "a:b.cursor"
        """
    )
    let options = try GivenOptions(commandLine: [.config: ["run.toml"]], readFile: { _ in file })
    #expect(options.value(.remote)?.text == "s3://b/p")
    #expect(options.value(.worldSize)?.text == "8")
    #expect(options.value(.worldSize)?.source == .file(path: "run.toml", line: 4))
    #expect(options.list(.split).map(\.text) == ["train", "val=v-*.tar"])
    #expect(options.list(.cursor).map(\.text) == ["a:b.cursor"])
    #expect(options.value(.strict)?.text == "true" && options.value(.allowOther)?.text == "false")
  }

  @Test(
    "A wrong line is named, and what was likely meant",
    arguments: [
      ("cache_siz = 1", "run.toml:1: no such option: 'cache_siz'; did you mean 'cache-size'?"),
      ("\nbogus = 1", "run.toml:2: no such option: 'bogus'; see"),
      ("config = \"x\"", "run.toml:1: a configuration names no other"),
      ("seed = 1\nseed = 2", "run.toml:2: 'seed' stands in line 1 already"),
      ("cache-size = 1\ncache_size = 2", "run.toml:2: 'cache_size' stands in line 1 already"),
      ("strict = 1", "run.toml:1: strict: write true or false"),
      ("seed = true", "run.toml:1: seed: write one value"),
      ("seed = [1]", "run.toml:1: seed: write one value"),
      ("seed = 1\n\nmountpoint = 3", "run.toml:3: mountpoint: write a text, like \"3\""),
      ("names = 3", "run.toml:1: names: write a text, like \"3\""),
      ("region = true", "run.toml:1: region: write one text, in quotes"),
      ("split = 1", "run.toml:1: split: write [\"one\""),
      ("split = [1]", "run.toml:1: split: write an array of texts"),
      ("[cache]", "run.toml:1: no tables here"), ("cache-size = 10GB", "run.toml:1: '10GB' wants"),
    ]
  )
  func wrongLines(_ text: String, _ words: String) throws {
    let failure = try #require(throws: Failure.self) {
      try ConfigFile(path: "run.toml", text: text)
    }
    #expect(failure.code == .usage)
    #expect(failure.sentence.hasPrefix(words), "\(failure)")
  }

  @Test func aWrongValueIsNamedByItsLine() throws {
    let folder = try TemporaryDirectory()
    let path = try folder.write("names = \"key\"\n\ncache-size = \"lots\"\n".utf8, to: "run.toml")
    let run = try ProgramRun(["mount", "s3://b", folder.path, "--config", path])
    #expect(run.exitCode == 2)
    #expect(run.isOneLine && run.errors.contains("\(path):3: cache-size: 'lots' is no size"))
  }

  @Test func aFileThatCannotBeReadIsNamed() throws {
    let folder = try TemporaryDirectory()
    for (path, words) in [(folder.path + "/none", "No such file"), (folder.path, "Is a directory")]
    {
      let run = try ProgramRun(["mount", "s3://b", "/m"], ["WDSFS_CONFIG": path])
      #expect(run.exitCode == 2)
      #expect(run.isOneLine && run.errors.contains(path) && run.errors.contains(words))
    }
  }

  // MARK: - Who said what

  @Test func printConfigSaysWhereEachValueCameFrom() throws {
    let folder = try TemporaryDirectory()
    let path = try folder.write(
      "shuffle = \"full\"\nseed = 7\nprefetch = 100\n".utf8,
      to: "run.toml"
    )
    let run = try ProgramRun(
      [
        "mount", "s3://b/p", "--config", path, "--print-config", "-o", "prefetch=200",
        "--endpoint-url", "http://me:secret@h:9000", "--split", "train", "--split", "v=\"x\"",
      ],
      ["WDSFS_SEED": "9", "WORLD_SIZE": "3", "WDSFS_STRICT": "yes"]
    )
    #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
    let lines = run.output.split(separator: "\n").map {
      $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }
    for line in [
      "remote = \"s3://b/p\" # command line", "# mountpoint = # not set",
      "shuffle = \"full\" # \(path):1", "seed = 9 # WDSFS_SEED", "prefetch = 200 # -o",
      "world-size = 3 # WORLD_SIZE", "strict = true # WDSFS_STRICT", "core = false # default",
      "max-workers = 32 # default", "retry-timeout = \"60s\" # default",
      "endpoint-url = \"http://***@h:9000\" # command line",
      "split = [\"train\", \"v=\\\"x\\\"\"] # command line",
    ] {
      #expect(lines.contains(line), "\(line)\n\(run.output)")
    }
    for name in OptionName.allCases where name != .config {
      #expect(
        lines.count { $0.hasPrefix("\(name.rawValue) = ") || $0.hasPrefix("# \(name.rawValue) = ") }
          == 1
      )
    }
  }

  @Test func whatIsPrintedIsAFileThatSaysTheSame() throws {
    let folder = try TemporaryDirectory()
    let first = try ProgramRun(
      ["mount", "s3://b/p", "/m", "--print-config", "--seed", "7", "--cursor", "/c/a b.cursor"]
        + ["--cache-dir", "/x", "--lanes", "16", "--split", "a=b\\c", "--strict"]
        + ["--profile", "7", "--expected-bucket-owner", "012345678901"]
    )
    let path = try folder.write(first.output.utf8, to: "saved.toml")
    let second = try ProgramRun(["mount", "--config", path, "--print-config"])
    #expect(second.exitCode == 0, "\(second.errors)")
    func entries(_ text: String) throws -> [String] {
      try TOMLReader.entries(of: text).map { "\($0.key) = \($0.value)" }
    }
    #expect(try entries(first.output) == entries(second.output))
    #expect(second.output.contains("\(path):"))
  }
}
