import SampleOrder
import TestSupport
import Testing
import WDSFS

/// `wdsfs cursor`, by the built program.
@Suite struct CursorCommandTests {
  private let folder: TemporaryDirectory

  init() throws {
    folder = try TemporaryDirectory()
  }

  private func save(_ cursor: Cursor, _ name: String) throws -> String {
    try folder.write(cursor.encoded(), to: name)
  }

  @Test func showSaysTheStateInWordsAndBars() throws {
    var cursor = try SomeCursor.make([12_800, 6_400, 0, 0])
    cursor.splits["train"]?.present.ranks[0].length = 25_601
    var gaps = Consumed(below: 100)
    gaps.insert(110..<121)
    cursor.splits["train"]?.present.ranks[2] = Progress(consumed: gaps, committedAt: 1)
    cursor.splits["train"]?.present.ranks[3] = Progress(epoch: 1, consumed: .all)
    let path = try save(cursor, "run.cursor")
    let run = try ProgramRun(["cursor", "show", path])
    #expect(run.exitCode == 0 && run.errors.isEmpty)
    #expect(
      run.output == """
        \(path): save 0
          order: shuffle full, seed 7, shuffle window 1, lanes by default

          train: 4 ranks, partition samples, 32 lanes
          of f
          rank  epoch  progress                                            read
             0      0  [##############................] 49 %   12,800 of 25,601  all below 12,800
             1      0                                                     6,400  all below 6,400
             2      0                                                       111  \
        all below 100, and 11 in 1 piece beyond, committed
             3      1  [##############################] 100 %               all  the epoch is over
          (no bar: not all of that epoch was counted; --samples says how many there are)

        """
    )
    let known = try ProgramRun(["cursor", "show", path, "--samples", "train=102400"])
    #expect(known.output.contains("[#######.......................] 25 %    6,400 of 25,600 "))
    #expect(!known.output.contains("(no bar"))
    // What the mount counted of rank 0 is not less for it.
    #expect(known.output.contains("12,800 of 25,601 "))
    let strange = try ProgramRun(["cursor", "show", path, "--samples", "tarin=102400"])
    #expect(strange.exitCode == 2 && strange.isOneLine)
    #expect(strange.errors.contains("--samples: there is no split tarin; there are: train"))
    let moved = try ProgramRun(["cursor", "set", path, "--position", "5"])
    #expect(moved.exitCode == 0)
    #expect(try ProgramRun(["cursor", "show", path]).output.contains("] 0 %  5 of 25,601 "))
  }

  @Test func showGivesAllAsJSON() throws {
    let path = try save(try SomeCursor.make([128, 0], held: [0]), "run.cursor")
    let run = try ProgramRun(["cursor", "show", "--json", folder.path])
    #expect(run.exitCode == 0)
    for words in [
      "\"version\" : 1", "\"file\" : \"\(path)\"", "\"seed\" : 7", "\"worldSize\" : 2",
      "\"next\" : 128", "\"fingerprint\" : \"f\"",
    ] {
      #expect(run.output.contains(words), "\(words): \(run.output)")
    }
    #expect(!run.output.contains("\"rank\" : 1"))
    let words = try ProgramRun(["cursor", "show", path])
    #expect(words.output.contains("holds 1 of 2 ranks: 0;"))
  }

  @Test func showOfManyRanksNamesTheRest() throws {
    let path = try save(try SomeCursor.make(Array(repeating: 1, count: 70)), "run.cursor")
    let run = try ProgramRun(["cursor", "show", path])
    #expect(run.output.contains("and 6 more ranks; see --json"))
  }

  @Test func mergeMakesOneOfAllAndNamesRanksThatReadNothing() throws {
    let first = try save(try SomeCursor.make([10, 0, 0], held: [0]), "a.cursor")
    let second = try save(try SomeCursor.make([0, 20, 0], held: [1, 2]), "b.cursor")
    let run = try ProgramRun(["cursor", "merge", first, second])
    #expect(run.exitCode == 0)
    #expect(run.errors == "nothing was read of train by 1 rank: 2\n")
    let merged = try Cursor(decoding: Array(run.output.utf8))
    #expect(SomeCursor.positions(merged) == [10, 20, 0])
    #expect(merged.ranks == nil)
    let target = folder.path + "/all"
    let other = try ProgramRun(["cursor", "merge", folder.path, "-o", target])
    #expect(other.exitCode == 0 && other.output.isEmpty)
    #expect(SomeCursor.positions(try CursorReading.cursor(at: target)) == [10, 20, 0])
  }

  @Test func mergeRefusesFilesOfAnotherRunByNameAndWritesNothing() throws {
    let first = try save(try SomeCursor.make([10, 0]), "a")
    let second = try save(try SomeCursor.make([10, 0], seed: 9), "b")
    let target = folder.path + "/all"
    let run = try ProgramRun(["cursor", "merge", first, second, "-o", target])
    #expect(run.exitCode == 8 && run.isOneLine)
    #expect(run.errors.contains("seed is 7 in \(first) and 9 in \(second)"))
    #expect(try folder.names() == ["a", "b"])
    try folder.write([], to: "b")
    let damaged = try ProgramRun(["cursor", "merge", first, second])
    #expect(damaged.exitCode == 8 && damaged.errors.contains("\(second): the cursor is damaged"))
    #expect(damaged.output.isEmpty)
  }

  @Test func setMovesRanksAsACommitDoes() throws {
    let path = try save(try SomeCursor.make([10, 20, 30]), "c")
    #expect(
      try ProgramRun(["cursor", "set", path, "--rank", "1", "--position", "5"]).exitCode == 0
    )
    var cursor = try CursorReading.cursor(at: path)
    #expect(SomeCursor.positions(cursor) == [10, 5, 30])
    #expect(
      cursor.splits["train"]?.present.ranks.map { $0.committedAt != nil }
        == [false, true, false]
    )
    #expect(cursor.sequence == 1)
    let split = ["--split", "train", "--position", "4:0"]
    #expect(try ProgramRun(["cursor", "set", path] + split).exitCode == 0)
    cursor = try CursorReading.cursor(at: path)
    #expect(SomeCursor.positions(cursor) == [0, 0, 0])
    #expect(cursor.splits["train"]?.present.ranks.map(\.epoch) == [4, 4, 4])
    #expect(SomeCursor.positions(try CursorReading.cursor(at: path + ".previous")) == [10, 5, 30])
  }

  @Test(
    "What cannot be set is refused, and nothing has changed",
    arguments: [
      (["--position", "x"], 2, "--position: 'x'"), (["--position", "-1"], 2, "--position"),
      ([], 2, "--position"), (["--position", "1", "--rank", "2"], 2, "there are 0-1"),
      (["--position", "1", "--split", "val"], 2, "there are train"),
      (["--position", "1:"], 2, "--position: '1:'"),
    ]
  )
  func wrongSettings(_ options: [String], _ code: Int32, _ words: String) throws {
    let path = try save(try SomeCursor.make([10, 20]), "c")
    let before = try folder.read("c")
    let run = try ProgramRun(["cursor", "set", path] + options)
    #expect(run.exitCode == code)
    #expect(run.isOneLine && run.errors.contains(words), "\(run.errors)")
    #expect(try folder.read("c") == before)
  }

  @Test func aFileThatIsNotThereIsNamed() throws {
    let path = folder.path + "/none"
    for arguments in [["show", path], ["merge", path], ["set", path, "--position", "0"]] {
      let run = try ProgramRun(["cursor"] + arguments)
      #expect(run.exitCode == 8)
      #expect(run.isOneLine && run.errors.contains(path), "\(run.errors)")
    }
    #expect(try folder.names().isEmpty)
    let empty = try ProgramRun(["cursor", "merge", folder.path])
    #expect(empty.exitCode == 8 && empty.errors.contains("no *.cursor in"))
  }

  @Test func eachCommandTeachesByExample() throws {
    for (words, example) in [
      (["cursor"], "wdsfs cursor merge node-*.cursor -o run7.cursor"),
      (["cursor", "show"], "wdsfs cursor show run7.cursor --json"),
      (["cursor", "merge"], "wdsfs cursor merge node-*.cursor > run7.cursor"),
      (["cursor", "set"], "wdsfs cursor set run7.cursor --rank 3 --position 12800"),
      (["verify"], "wdsfs verify node0.tsv node1.tsv"),
    ] {
      let run = try ProgramRun(words + ["--help"])
      #expect(run.exitCode == 0 && run.output.contains(example), "\(run.output)")
      let wrong = try ProgramRun(words + ["--bogus"])
      #expect(wrong.exitCode == 2 || words == ["cursor"])
      if wrong.exitCode == 2 {
        #expect(wrong.errors.contains("see wdsfs \(words.joined(separator: " ")) --help"))
      }
    }
  }
}
