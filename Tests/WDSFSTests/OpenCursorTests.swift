import Remote
import SampleOrder
import TestSupport
import Testing
import WDSFS

@Suite struct OpenCursorTests {
  private let folder: TemporaryDirectory
  private let log = KeptLog()

  init() throws {
    folder = try TemporaryDirectory()
  }

  private func save(_ cursor: Cursor, _ name: String) throws -> String {
    try folder.write(cursor.encoded(), to: name)
  }

  private func open(_ paths: [String], host: String = "node-1") throws -> OpenCursor {
    let places = try CursorPlaces(paths, mountPoint: "/mnt/w-ds", hostName: host)
    return try OpenCursor(places, mountPoint: "/mnt/w-ds", log: log.logger)
  }

  @Test func withoutAFileItIsAFreshStart() throws {
    let open = try open([folder.path + "/new.cursor"])
    #expect(open.cursor == nil)
    #expect(try open.resumed(atWorldSize: 4) == nil)
  }

  @Test func severalFilesAreMergedAndTheFirstIsWritten() throws {
    let first = try save(try SomeCursor.make([10, 0], held: [0]), "a")
    let second = try save(try SomeCursor.make([0, 20], held: [1]), "b")
    let open = try open([first, second, folder.path + "/none"])
    #expect(open.file.path == first)
    #expect(SomeCursor.positions(open.cursor) == [10, 20])
    #expect(open.cursor?.ranks == nil)
    #expect(log.count("cursor.missing") == 1)
    #expect(try open.resumed(atWorldSize: 3)?.worldSize == 3)
  }

  @Test func ofADirectoryAllAreReadAndOneOfItsOwnIsWritten() throws {
    _ = try save(try SomeCursor.make([10, 0], held: [0]), "node-2@mnt.cursor")
    _ = try save(try SomeCursor.make([0, 20], held: [1]), "node-3@mnt.cursor")
    _ = try save(try SomeCursor.make([99, 99], seed: 1), "other.json")
    let open = try open([folder.path])
    #expect(open.file.path == folder.path + "/node-1@mnt-w%2Dds.cursor")
    #expect(SomeCursor.positions(open.cursor) == [10, 20])
    try open.file.save(try #require(open.cursor))
    let again = try self.open([folder.path], host: "node-2")
    #expect(again.file.path == folder.path + "/node-2@mnt-w%2Dds.cursor")
    #expect(SomeCursor.positions(again.cursor) == [10, 20])
  }

  @Test func aDirectoryStandsAlone() throws {
    let failure = try #require(throws: Failure.self) {
      _ = try CursorPlaces([folder.path + "/a", folder.path], mountPoint: "/m")
    }
    #expect(failure.code == .usage)
    let none = try #require(throws: Failure.self) {
      _ = try CursorPlaces([folder.path + "/none/"], mountPoint: "/m")
    }
    #expect(none.sentence.contains("mkdir -p"))
  }

  @Test func longNamesOfHostsAndMountsStayNamesOfFiles() throws {
    let host = String(repeating: "h", count: 64)
    let deep = String(repeating: "/folder", count: 60)
    let names = try [deep + "/a", deep + "/b"].map { mountPoint in
      try CursorPlaces([folder.path], mountPoint: mountPoint, hostName: host).written
    }
    #expect(names[0] != names[1])
    for name in names {
      #expect(name.utf8.count - folder.path.utf8.count < 230)
      #expect(name.hasSuffix(".cursor"))
    }
  }

  @Test func filesOfTwoRunsAreRefusedByName() throws {
    let first = try save(try SomeCursor.make([10, 0]), "a")
    let second = try save(try SomeCursor.make([10, 0], seed: 8), "b")
    let failure = try #require(throws: Failure.self) { _ = try open([first, second]) }
    #expect(failure.code == .cursor)
    #expect(failure.sentence.contains("seed is 7 in \(first) and 8 in \(second)"))
    #expect(try SomeCursor.positions(CursorReading.cursor(at: first)) == [10, 0])
  }

  @Test func nodesMayResumeAtAnotherWorldSizeOneAfterTheOther() throws {
    let first = try SomeCursor.make([10, 0], held: [0])
    let second = try SomeCursor.make([0, 20], held: [1])
    let a = try save(first, "a.cursor")
    let b = try save(second, "b.cursor")
    var resumed = try #require(try open([a, b]).resumed(atWorldSize: 3))
    resumed.splits["train"]?.present.ranks[1] = Progress(consumed: Consumed(below: 5))
    _ = try save(resumed, "a.cursor")
    // The second node finds the first's new leg and its own file of the old one.
    let later = try open([b, a]).cursor
    #expect(later?.worldSize == 3)
    #expect(SomeCursor.positions(later) == [0, 5, 0])
    #expect(log.count("cursor.superseded") == 1)
    // One that read on after the others had gone on knows what they do not.
    _ = try save(try SomeCursor.make([0, 21], held: [1]), "b.cursor")
    let failure = try #require(throws: Failure.self) { _ = try open([b, a]) }
    #expect(failure.sentence.contains("world size is"))
  }

  @Test func aLegThatNoLongerMattersIsSuperseded() throws {
    var old = try SomeCursor.make([0, 0])
    var resumed = old
    try resumed.resume(atWorldSize: 3)
    #expect(resumed.splits["train"]?.earlier.isEmpty == true)
    #expect(old.isSuperseded(by: resumed))
    // Neither says anything, and still one of them counts: seed and dataset stand in it.
    #expect(resumed.isSuperseded(by: old))
    for pair in [[("a", old), ("b", resumed)], [("a", resumed), ("b", old)]] {
      let merged = try OpenCursor.merged(pair.map { (path: $0.0, cursor: $0.1) })
      #expect(merged.cursor == pair[0].1)
      #expect(merged.superseded == ["b"])
    }
    resumed.splits["train"]?.present.ranks[0] = Progress(consumed: Consumed(below: 1))
    #expect(!resumed.isSuperseded(by: old))
    #expect(!old.isSuperseded(by: old))
    old.splits["train"]?.fingerprint = "other"
    #expect(!old.isSuperseded(by: resumed))
  }

  @Test func anotherDatasetAndOtherOptionsAreRefusedWithBothValues() throws {
    let path = try save(try SomeCursor.make([10, 0]), "a")
    let open = try open([path])
    func order(_ options: [OptionName: [String]]) throws -> OrderSettings {
      try MountSettings(
        remote: "s3://b",
        mountPoint: "/m",
        options: GivenOptions(commandLine: options),
        environment: ["HOME": "/h"],
        user: MountingUser(uid: 1, gid: 1, workingDirectory: "/")
      ).order
    }
    try open.check(try order([:]), fingerprints: ["train": "f", "val": "new"])
    try open.check(
      try order([.seed: ["7"], .shuffle: ["full"], .lanes: ["3"], .epoch: ["9"]]),
      fingerprints: [:]
    )
    let foreign = try #require(throws: Failure.self) {
      try open.check(try order([:]), fingerprints: ["train": "g"])
    }
    #expect(foreign.code == .cursor)
    #expect(foreign.sentence.contains("train has fingerprint g, the cursor f"))
    for (option, value, words) in [
      (OptionName.seed, "8", "--seed is 8, the cursor says 7"),
      (.shuffle, "none", "--shuffle is none, the cursor says full"),
      (.partition, "shards", "--partition is shards, the cursor says samples"),
      (.equalize, "drop", "--equalize is drop, the cursor says not set"),
      (.shuffleWindow, "2", "--shuffle-window is 2, the cursor says 1"),
    ] {
      let failure = try #require(throws: Failure.self) {
        try open.check(try order([option: [value]]), fingerprints: [:])
      }
      #expect(failure.code == .cursor)
      #expect(failure.sentence.hasPrefix("\(path): \(words)"), "\(failure)")
    }
  }

  @Test func someRanksCannotBeResumedAtAnotherWorldSize() throws {
    let open = try open([try save(try SomeCursor.make([10, 0], held: [0]), "a")])
    #expect(try open.resumed(atWorldSize: 2)?.ranks == [0])
    let failure = try #require(throws: Failure.self) { _ = try open.resumed(atWorldSize: 3) }
    #expect(failure.code == .cursor)
  }

  @Test func aFingerprintChangesWithKeySizeETagAndOrder() {
    func shard(_ key: String, _ size: Int64 = 10, _ eTag: String = "e") -> ObjectInfo {
      ObjectInfo(key: ObjectKey(key), sizeBytes: size, eTag: eTag)
    }
    let lists = [
      [shard("a"), shard("b")], [shard("b"), shard("a")], [shard("a")], [shard("a"), shard("c")],
      [shard("a", 11), shard("b", 9)], [shard("a", 10, "f"), shard("b")], [],
      [shard("a1", 0, "e"), shard("b")], [shard("a", 10, "e"), shard("b", 1, "0e")],
    ]
    let texts = lists.map { DatasetFingerprint.text(of: $0) }
    #expect(Set(texts).count == lists.count)
    // Pinned: a cursor of today must be known tomorrow.
    #expect(texts[0] == "2 shards, 20 bytes, 48802a69d5b1d2735091a957340bc9f7")
  }
}
