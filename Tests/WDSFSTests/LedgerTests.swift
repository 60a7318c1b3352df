import Glibc
import Synchronization
import TestSupport
import Testing
import WDSFS

@Suite struct LedgerTests {
  private let folder: TemporaryDirectory
  private let name = "ledger.tsv"
  private let path: String
  private let log = KeptLog()

  init() throws {
    folder = try TemporaryDirectory()
    path = folder.path + "/" + name
  }

  private func line(
    _ number: Int,
    shard: String = "train-0.tar",
    rank: Int = 0,
    epoch: Int = 0,
    state: LedgerLine.State = .ok
  ) -> LedgerLine {
    LedgerLine(
      split: Array("train".utf8),
      rank: rank,
      epoch: epoch,
      position: number,
      shard: Array(shard.utf8),
      number: number,
      key: Array("key\(number)".utf8),
      state: state
    )
  }

  private func write(_ lines: [LedgerLine], to path: String? = nil) throws {
    let ledger = try Ledger.open(path ?? self.path, log: log.logger)
    for line in lines { ledger.note(line) }
    #expect(ledger.finish())
  }

  private func text() throws -> [String] {
    String(decoding: try folder.read(name), as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  @Test func itIsATableWithVersionAndHeader() throws {
    try write([line(3), LedgerLine(total: 4, ofEpoch: 2, split: [0x76])])
    try write([line(0, rank: 5, state: .error)])
    let lines = try text()
    #expect(lines[0] == "# wdsfs ledger version 1")
    #expect(lines[1] == "time\tsplit\trank\tepoch\tposition\tshard\tnumber\tkey\tstate")
    #expect(lines[2].hasSuffix("Z\ttrain\t0\t0\t3\ttrain-0.tar\t3\tkey3\tok"))
    #expect(lines[3].hasSuffix("Z\tv\t-\t2\t4\t-\t-\t-\ttotal"))
    #expect(lines[4].hasSuffix("Z\ttrain\t5\t0\t0\ttrain-0.tar\t0\tkey0\terror"))
    #expect(lines.count == 6 && lines[5].isEmpty)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func anEpochsTotalIsSaidOnceAllShardsAreCounted() {
    let counts = Mutex<[Int?]>([4, nil, 2])
    let totals = LedgerTotals([
      .init(name: Array("a".utf8), shardCount: 3) { place in counts.withLock { $0[place] } },
      .init(name: Array("b".utf8), shardCount: 1) { _ in 9 },
    ])
    #expect(totals.lines().isEmpty, "nothing was served")
    totals.noteServed(ofSplit: 0, epoch: 1)
    totals.noteServed(ofSplit: 0, epoch: 1)
    #expect(totals.lines().isEmpty, "a shard is not counted")
    counts.withLock { $0[1] = 5 }
    totals.noteServed(ofSplit: 0, epoch: 0)
    let name = Array("a".utf8)
    #expect(
      totals.lines() == [
        LedgerLine(total: 11, ofEpoch: 0, split: name),
        LedgerLine(total: 11, ofEpoch: 1, split: name),
      ]
    )
    totals.noteServed(ofSplit: 0, epoch: 1)
    #expect(totals.lines().isEmpty, "it was said")
  }

  @Test func whatComesOfItselfIsWrittenBeforeTheEnd() throws {
    let ledger = try Ledger.open(path, log: log.logger)
    let isGiven = Atomic(false)
    ledger.noteEachSecond { [line = line(7)] in
      isGiven.exchange(true, ordering: .relaxed) ? [] : [line]
    }
    #expect(ledger.finish())
    #expect(try text().count { $0.hasSuffix("\tkey7\tok") } == 1)
  }

  @Test(
    "Any bytes come back from a line, and leave it one line",
    arguments: [
      Array("plain".utf8), Array("a\tb\nc\\d\r\u{7f}".utf8), [0xFF, 0x00, 0xC3], Array("é✓".utf8),
      Array("\\x41".utf8), [],
    ]
  )
  func bytes(_ name: [UInt8]) throws {
    let line = LedgerLine(
      split: name,
      rank: 1,
      epoch: 2,
      position: 3,
      shard: name,
      number: 4,
      key: name
    )
    var bytes: [UInt8] = []
    line.append(to: &bytes, time: "t")
    #expect(bytes.last == UInt8(ascii: "\n"))
    #expect(bytes.count { $0 < 0x20 } == 9)
    #expect(String(validating: bytes, as: UTF8.self) != nil)
    #expect(LedgerLine(bytes.dropLast()) == line)
    // No part of it is taken for a line.
    for length in 0..<bytes.count - 1 { #expect(LedgerLine(bytes.prefix(length)) == nil) }
  }

  @Test func aTornEndIsClosedBeforeItGoesOn() throws {
    try write([line(0), line(1)])
    let whole = try folder.read(name)
    try folder.write(whole.dropLast(5), to: name)
    try write([line(1)])
    let run = try ProgramRun(["verify", path, "--samples", "2"])
    #expect(run.exitCode == 0, "\(run.output) \(run.errors)")
    #expect(run.output.contains("1 line could not be read"))
  }

  @Test func whatIsFlushedStandsInTheFile() throws {
    let ledger = try Ledger.open(path, log: log.logger)
    ledger.note(line(0))
    ledger.flush()
    #expect(try text().count == 4)
    #expect(ledger.finish() && ledger.finish())
    #expect(ledger.lostCount == 0)
  }

  @Test func aFileThatIsNoLedgerOrInUseIsRefused() throws {
    let other = try folder.write("something\n".utf8, to: "other")
    for place in [other, folder.path, folder.path + "/none/l", "/dev/null"] {
      let failure = try #require(throws: Failure.self) {
        _ = try Ledger.open(place, log: log.logger)
      }
      #expect(failure.code == .usage && failure.sentence.contains(place))
    }
    #expect(try folder.read("other") == Array("something\n".utf8))
    let ledger = try Ledger.open(path, log: log.logger)
    let failure = try #require(throws: Failure.self) { _ = try Ledger.open(path, log: log.logger) }
    #expect(failure.sentence.contains("in use by another mount"))
    #expect(ledger.finish())
  }

  @Test(
    "A full disk is said once and holds up nobody; later the lines are there",
    .enabled(if: SmallDisk.canBeMade, "needs the right to mount a tmpfs")
  )
  func fullDisk() throws {
    let disk = try #require(SmallDisk(in: folder, kibibytes: 64))
    let place = disk.path + "/l"
    let ledger = try Ledger.open(place, log: log.logger)
    ledger.note(line(0))
    ledger.flush()
    try disk.fill()
    for number in 1..<1000 {
      ledger.note(line(number))
      if number % 100 == 0 { ledger.flush() }
    }
    ledger.flush()
    #expect(log.count("ledger.write_failed") == 1)
    let part = try folder.read("disk/l").count
    disk.free()
    // 1,000 lines do not fit beside the filling, and do without it.
    #expect(ledger.finish())
    #expect(try folder.read("disk/l").count > part)
    let run = try ProgramRun(["verify", place, "--samples", "1000"])
    #expect(run.exitCode == 0, "\(run.output)")
  }

  // MARK: - verify

  @Test func eachOnceOverRanksAndRestarts() throws {
    let second = folder.path + "/second.tsv"
    let total = LedgerLine(total: 6, ofEpoch: 0, split: Array("train".utf8))
    try write([total] + (0..<3).map { line($0) } + [line(0, epoch: 1)])
    try write((0..<2).map { line($0, shard: "b", rank: 1) }, to: second)
    try write([total, line(2, shard: "b", rank: 1)], to: second)
    let run = try ProgramRun(["verify", path, second, "--epoch", "0"])
    #expect(run.exitCode == 0)
    #expect(
      run.output == """
        split  epoch  expected  served  missing  repeated  errors  each once
        train      0         6       6        0         0       0  yes

        """
    )
    let other = try ProgramRun(["verify", path, second])
    #expect(other.exitCode == 0)
    #expect(other.output.contains("as far as known"))
  }

  @Test func whatIsMissingRepeatedOrFailedIsCountedAndEndsWithOne() throws {
    try write([line(0), line(1), line(1), line(4), line(5, state: .error)])
    let run = try ProgramRun(["verify", path, "--json", "--samples", "train=7"])
    #expect(run.exitCode == 1)
    for words in [
      "\"eachOnce\" : false", "\"served\" : 3", "\"expected\" : 7", "\"missing\" : 3",
      "\"repeated\" : 1", "\"errors\" : 1", "\"version\" : 1",
      "\"firstMissing\" : \"sample 2 of train-0.tar\"",
      "\"firstRepeated\" : \"sample 1 (key1) of train-0.tar\"",
    ] {
      #expect(run.output.contains(words), "\(words): \(run.output)")
    }
    let unknown = try ProgramRun(["verify", path])
    #expect(unknown.exitCode == 1)
    #expect(unknown.output.contains("NO") && unknown.output.contains("--samples SPLIT=N"))
  }

  @Test func anErrorThatWasServedLaterIsNone() throws {
    try write([line(0, state: .error), line(0), line(1), line(1, state: .filled)])
    #expect(try ProgramRun(["verify", path, "--samples", "2"]).exitCode == 0)
    #expect(try ProgramRun(["verify", path, "--samples", "1"]).exitCode == 1)
  }

  @Test func foreignFilesAndHugeNumbersDoNoHarm() throws {
    let lines = [
      LedgerLine.versionLine, LedgerLine.headerLine,
      "t\ttrain\t0\t0\t0\ts\t999999999999999999\tk\tok",
      "t\ttrain\t0\t0\t0\ts\t9999999999999999999\tk\tok",
      "t\ttrain\t0\t0\t0\ts\t-1\tk\tok", "t\ttrain\t0\t0\t0\ts\t1\tk\tfine",
      "t\ttrain\t0\t0\t0\ts\\x4\t1\tk\tok", String(repeating: "x", count: 300_000), "",
      "# lost lines: 3",
    ]
    try folder.write(lines.joined(separator: "\n").utf8, to: name)
    let run = try ProgramRun(["verify", path, "--json"])
    #expect(run.exitCode == 1)
    #expect(run.output.contains("\"badLines\" : 5"), "\(run.output)")
    #expect(run.output.contains("\"lostLines\" : 3"))
    for text in ["", "# wdsfs ledger version 2\n", "no ledger"] {
      try folder.write(text.utf8, to: name)
      let run = try ProgramRun(["verify", path])
      #expect(run.exitCode == 2)
      #expect(run.isOneLine && run.errors.contains("not a ledger of version 1"), "\(run.errors)")
    }
    let none = try ProgramRun(["verify", folder.path + "/none"])
    #expect(none.exitCode == 2 && none.isOneLine)
    let samples = try ProgramRun(["verify", path, "--samples", "many"])
    #expect(samples.exitCode == 2 && samples.errors.contains("--samples: 'many'"))
  }
}
