import SampleOrder
import SampleTree
import ShardCache
import TestSupport
import Testing

/// `.cursor` and `cursor.json`: read for the place reached, written to commit or to move.
@Suite struct CursorFileTests {
  private static let shards: [String: TestShard] = [
    "train/0.tar": .samples(3, shard: 0), "train/1.tar": .samples(2, shard: 1),
    "train/2.tar": .samples(4, shard: 2), "val/0.tar": .samples(2, shard: 9),
  ]

  private static let order = TestTree.Order(shuffle: .full, seed: 3)

  private func tree(worldSize: Int = 1) throws -> TestTree {
    let file = ControlFiles.File(name: "cursor.json", isPrivate: true, takesCursors: true) { [] }
    let plain = ControlFiles.File(name: "status") { Array("fine".utf8) }
    return try TestTree(
      Self.shards,
      .init(worldSize: worldSize, files: [file, plain], order: Self.order)
    )
  }

  @Test func aCursorFileTellsItsRanksPlace() throws {
    let test = try tree(worldSize: 2)
    try test.readSamples([0, 2], of: "train/0")
    let file = try test.find("train/0/.cursor")
    let text = try test.read(file.inode)
    #expect(file.isPrivate)
    #expect(file.sizeBytes == Int64(text.count))
    #expect(!test.tree.keepsEntry(file.inode))
    let cursor = try Cursor(decoding: text)
    #expect(cursor == test.tree.run.cursor().holding(only: [0]))
    #expect(try #require(cursor.splits["train"]).present.ranks[0].consumed.count == 2)
    // A snapshot stays as it was.
    try test.readSamples([1], of: "train/0")
    #expect(try test.read(file.inode) == text)
    #expect(try test.read(test.find("train/0/.cursor").inode) != text)
    #expect(try !test.names("train/0").contains(".cursor"))
    #expect(throws: TreeError.self) { try test.find(".epochs/0/train/0/.cursor") }
  }

  @Test func aCommitAloneMovesTheRankFromThenOn() throws {
    let test = try tree()
    let before = try test.names("train/0")
    try test.readSamples([0, 1, 2, 3], of: "train/0")
    try test.write("2\n", to: "train/0/.cursor")
    #expect(try test.progress().consumed == Consumed(below: 2))
    try test.readSamples([4, 5], of: "train/0")
    #expect(try test.progress().consumed == Consumed(below: 2))
    try test.write("0:5\n", to: "train/0/.cursor")
    #expect(try test.progress().consumed == Consumed(below: 5))
    try test.write("1", to: "train/0/.cursor")
    #expect(try test.progress().consumed == Consumed(below: 1))
    #expect(try test.progress().committedAt != nil)
    #expect(try test.names("train/0") == before)
    // The split beside it goes on by reads.
    try test.readSamples([1], of: "val/0")
    #expect(try test.progress("val").consumed.count == 1)
  }

  @Test func whoKeepsTheFileOpenCommitsAgainAndAgain() throws {
    let test = try tree()
    let inode = try test.find("train/0/.cursor").inode
    let shown = try test.read(inode, at: 0, count: 1 << 20).count
    // Appended, then one line behind the other.
    #expect(test.writeOnce(Array("2\n".utf8), at: Int64(shown), to: inode) == nil)
    #expect(try test.progress().consumed == Consumed(below: 2))
    #expect(test.writeOnce(Array("0:5\n".utf8), at: Int64(shown + 2), to: inode) == nil)
    #expect(try test.progress().consumed == Consumed(below: 5))
    // One that was refused is written again at its place.
    #expect(test.writeOnce(Array("999\n".utf8), at: Int64(shown + 6), to: inode) != nil)
    #expect(test.writeOnce(Array("6\n".utf8), at: Int64(shown + 6), to: inode) == nil)
    #expect(try test.progress().consumed == Consumed(below: 6))
    // Without a line's end, what follows might be the number's other half.
    #expect(test.writeOnce(Array("1".utf8), at: 0, to: inode) == nil)
    #expect(test.writeOnce(Array("7\n".utf8), at: 1, to: inode) != nil)
    #expect(test.writeOnce(Array("7\n".utf8), at: 5, to: inode) != nil)
    #expect(try test.progress().consumed == Consumed(below: 1))
  }

  @Test func aCommitOfTheLengthEndsTheEpoch() throws {
    let test = try tree()
    let old = try test.find("train/0")
    try test.write("9\n", to: "train/0/.cursor")
    #expect(test.kernel.attributes == [old.inode])
    #expect(try test.progress().epoch == 0)
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 1)
    #expect(try test.progress().consumed == .none)
    // Commit mode lasts: reads of the new epoch do not count.
    try test.readSamples([0], of: "train/0")
    #expect(try test.progress().consumed == .none)
  }

  @Test func aCommitBackFromTheEndOpensTheEpochAgain() throws {
    let test = try tree()
    try test.write("9\n", to: "train/0/.cursor")
    try test.write("4\n", to: "train/0/.cursor")
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 0)
    try test.write("9\n", to: "train/0/.cursor")
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 1)
  }

  @Test func aCommitToAnotherEpochMovesThere() throws {
    let test = try tree()
    let old = try test.find("train/0")
    _ = try test.names("train/0")
    test.kernel.clear()
    try test.write("3:4\n", to: "train/0/.cursor")
    let new = try test.find("train/0")
    #expect(new.inode != old.inode)
    #expect(test.kernel.attributes.contains(old.inode))
    #expect(test.kernel.entries.map(\.name) == ["0"])
    #expect(try test.progress().epoch == 3)
    #expect(try test.names("train/0") == (4..<9).map(TestTree.name))
    let whole = try test.keys(".epochs/3/train/0")
    #expect(try test.keys("train/0") == Array(whole.dropFirst(4)))
    // Reads under names of the old epoch count nowhere.
    let field = try test.lookUp("00000005", in: old.inode)
    _ = try test.read(test.lookUp("jpg", in: field.inode).inode)
    #expect(test.ledger.positions == [])
  }

  @Test(
    "what is no commit and no cursor is refused, and changes nothing",
    arguments: [
      "10\n", "0:10", "1:10\n", "-1", "x", "", "\n", "1 2", "3:", ":3", "1\n\n", "{}",
      "{\"a\":1}\n",
      "{\n  \"format\": \"other\",\n}\n", "{\n  \"format\": \"wdsfs cursor\"\n}\n",
      "99999999999999999999999999", "1:2:3", "[1]",
    ]
  )
  func refused(_ text: String) throws {
    let test = try tree()
    try test.readSamples([0, 1], of: "train/0")
    let before = test.tree.run.cursor()
    let inode = try test.find("train/0/.cursor").inode
    let failure = test.writeOnce(Array(text.utf8), at: 0, to: inode)
    guard case .badCursor(let path, _) = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(path == "train/0/.cursor")
    #expect(test.tree.run.cursor() == before)
    // No commit mode came of it.
    try test.readSamples([2], of: "train/0")
    #expect(test.ledger.positions == [0, 1, 2])
  }

  @Test func aCommitWaitsUntilItCanBeJudged() throws {
    let order = TestTree.Order(shuffle: .shards, seed: 1)
    for epoch in ["", "0:", "2:"] {
      var shards: [String: TestShard] = [:]
      for number in 0..<12 { shards["train/\(number).tar"] = .samples(3, shard: number) }
      let test = try TestTree(shards, .init(order: order))
      #expect(test.store.fetchCount == 0)
      try test.write("\(epoch)35\n", to: "train/0/.cursor")
      #expect(try test.progress().consumed == Consumed(below: 35))
      let inode = try test.find("train/0/.cursor").inode
      let failure = test.writeOnce(Array("\(epoch)37\n".utf8), at: 0, to: inode)
      #expect("\(String(describing: failure))".contains("37"))
      #expect(try test.progress().consumed == Consumed(below: 35))
    }
  }

  @Test func aDocumentMovesItsRankAndIsNoCommitMode() throws {
    let test = try tree(worldSize: 2)
    try test.readSamples([0, 1], of: "train/0")
    let checkpoint = try test.read(test.find("train/0/.cursor").inode)
    let saved = try test.progress()
    let old = try test.find("train/0")
    let all = try test.names("train/0")
    try test.readSamples(2..<all.count, of: "train/0")
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 1)
    test.kernel.clear()

    try test.write([checkpoint], to: "train/0/.cursor")
    #expect(try test.progress() == saved)
    #expect(try test.names("train/0") == Array(all.dropFirst(2)))
    #expect(test.kernel.attributes.contains(old.inode))
    #expect(test.kernel.entries.map(\.name) == ["0"])
    try test.readSamples([2], of: "train/0")
    #expect(try test.progress().consumed == Consumed(below: 3))
  }

  @Test("a document in pieces takes effect when it is whole", arguments: [1, 3, 7, 64, 100])
  func pieces(_ size: Int) throws {
    let test = try tree()
    try test.readSamples([0, 1], of: "train/0")
    let document = try test.read(test.find("train/0/.cursor").inode)
    let saved = test.tree.run.cursor()
    try test.readSamples([2, 3], of: "train/0")
    let inode = try test.find("train/0/.cursor").inode
    let moved = test.tree.run.cursor()
    for start in stride(from: 0, to: document.count, by: size) {
      #expect(test.tree.run.cursor() == moved)
      let piece = Array(document[start..<min(document.count, start + size)])
      #expect(test.writeOnce(piece, at: Int64(start), to: inode) == nil)
    }
    #expect(test.tree.run.cursor() == saved)
  }

  @Test func aPieceOutOfPlaceIsRefused() throws {
    let test = try tree()
    let inode = try test.find("train/0/.cursor").inode
    let document = try test.read(inode)
    #expect(test.writeOnce(Array(document[..<50]), at: 0, to: inode) == nil)
    #expect(test.writeOnce(Array(document[60...]), at: 60, to: inode) != nil)
    #expect(test.writeOnce([0x31], at: Int64.max, to: inode) != nil)
    #expect(test.writeOnce([0x31], at: -1, to: inode) != nil)
  }

  @Test func aWholeCursorMovesEveryRank() throws {
    let test = try tree(worldSize: 2)
    try test.readSamples([0], of: "train/0")
    try test.readSamples([0], of: "train/1")
    let saved = test.tree.run.cursor()
    try test.readSamples([1, 2], of: "train/0")
    try test.readSamples([0], of: "val/0")
    try test.write([saved.encoded()], to: ".wdsfs/cursor.json")
    #expect(test.tree.run.cursor() == saved)
    // A rank's file takes of a whole document what is that rank's.
    try test.readSamples([1], of: "train/0")
    try test.readSamples([1], of: "train/1")
    try test.write([saved.encoded()], to: "train/1/.cursor")
    let now = try #require(test.tree.run.cursor().splits["train"]).present.ranks
    #expect(now[1] == saved.splits["train"]?.present.ranks[1])
    #expect(now[0] != saved.splits["train"]?.present.ranks[0])
    #expect(test.writeOnce([0x31], at: 0, to: try test.find(".wdsfs/cursor.json").inode) != nil)
  }

  @Test("a cursor of another run is refused", arguments: 0..<3)
  func foreign(_ kind: Int) throws {
    let test = try tree()
    try test.readSamples([0], of: "train/0")
    let before = test.tree.run.cursor()
    var other = before
    switch kind {
    case 0: other.seed += 1
    case 1: other.splits["train"]?.fingerprint = "of another"
    default: other.splits["val"] = nil
    }
    let inode = try test.find("train/0/.cursor").inode
    let failure = test.writeOnce(other.encoded(), at: 0, to: inode)
    guard case .badCursor = failure else {
      Issue.record("\(String(describing: failure))")
      return
    }
    #expect(test.tree.run.cursor() == before)
  }

  @Test func cursorFilesAloneTakeWritesAndSizes() throws {
    let test = try tree()
    let paths = [
      "", "train", "train/0", "train/0/00000000", "train/0/00000000/jpg", ".wdsfs/status",
    ]
    for path in paths {
      let inode = try test.find(path).inode
      #expect(throws: TreeError.self) { try test.tree.truncate(inode, to: 0) }
      #expect(test.writeOnce([0x31], at: 0, to: inode) != nil)
    }
    for path in ["train/0/.cursor", ".wdsfs/cursor.json"] {
      let inode = try test.find(path).inode
      #expect(throws: TreeError.self) { try test.tree.truncate(inode, to: 1) }
      #expect(try test.tree.truncate(inode, to: 0).sizeBytes == 0)
      #expect(try test.read(inode) == [])
    }
    #expect(throws: TreeError.self) { try test.tree.truncate(UInt64.max, to: 0) }
    #expect(try test.progress() == Progress())
  }
}
