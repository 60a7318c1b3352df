import SampleTree
import Synchronization
import TestSupport
import Testing

@Suite struct HiddenFolderTests {
  @Test func whatIsNotListedIsThereForWhoNamesIt() throws {
    let test = try TestTree(["train/a.tar": .samples(2, shard: 0)])
    #expect(try test.names("") == ["train"])
    #expect(try test.find(".wdsfs").isDirectory)
    #expect(try test.names(".shards") == ["train"])
    #expect(try test.names(".shards/train") == ["a.tar"])
  }

  // MARK: Shards

  @Test func aRawShardIsItsBytes() throws {
    let shard = TestShard.samples(5, shard: 0, fieldBytes: 600_000)
    let test = try TestTree(["train/a.tar": shard])
    let file = try test.find(".shards/train/a.tar")
    #expect(file.sizeBytes == Int64(shard.bytes.count))
    var bytes: [UInt8] = []
    while bytes.count < shard.bytes.count {
      let more = try test.read(file.inode, at: Int64(bytes.count), count: 131_072)
      guard !more.isEmpty else { break }
      bytes += more
    }
    #expect(bytes == shard.bytes)
    #expect(try test.read(file.inode, at: Int64(shard.bytes.count)) == [])
  }

  @Test func theFolderOfAShardHoldsItsSamplesInNaturalOrder() throws {
    let shards = [
      "train/a.tar": TestShard.samples(2, shard: 0), "train/b.tar": .samples(3, shard: 1),
    ]
    let test = try TestTree(shards, .init(worldSize: 2))
    #expect(try test.keys(".shards/train/b.tar.d") == ["s1n0", "s1n1", "s1n2"])
    #expect(try test.text(".shards/train/b.tar.d/00000001/cls") == "1")
    #expect(throws: TreeError.self) { try test.find(".shards/train/b.tar.d/00000003") }
    #expect(throws: TreeError.self) { try test.find(".shards/train/c.tar.d") }
    #expect(throws: TreeError.self) { try test.find(".shards/train/.d") }
    // Neither the rank's sample nor its inode is the folder's.
    let own = try test.find(".shards/train/b.tar.d/00000001/cls").inode
    #expect(try test.find("train/1/00000001/cls").inode != own)
  }

  @Test func shardsOfOneNameInTwoFoldersAreTwo() throws {
    let test = try TestTree([
      "train/x/a.tar": .samples(1, shard: 0), "train/y/a.tar": .samples(2, shard: 1),
      "train/a.tar": .samples(3, shard: 2),
    ])
    #expect(try test.names(".shards/train") == ["a.tar", "%%x%2Fa.tar", "%%y%2Fa.tar"])
    #expect(try test.keys(".shards/train/%%y%2Fa.tar.d") == ["s1n0", "s1n1"])
    #expect(try test.keys(".shards/train/a.tar.d").count == 3)
  }

  @Test func anEmptyShardIsAnEmptyFileAndFolder() throws {
    let test = try TestTree(["train/a.tar": TestShard(), "train/b.tar": .samples(1, shard: 1)])
    #expect(try test.find(".shards/train/a.tar").sizeBytes == 0)
    #expect(try test.read(test.find(".shards/train/a.tar").inode) == [])
    #expect(try test.names(".shards/train/a.tar.d") == [])
  }

  // MARK: Control files

  private final class Counter: Sendable {
    private let number = Mutex(0)

    var next: [UInt8] {
      number.withLock { number in
        number += 1
        return Array(String(repeating: "x", count: number).utf8)
      }
    }
  }

  @Test func eachLookupOfAControlFileShowsThePresentState() throws {
    let counter = Counter()
    let file = ControlFiles.File(name: "stats.json") { counter.next }
    let secret = ControlFiles.File(name: "cursor.json", isPrivate: true) { [] }
    let test = try TestTree(
      ["train/a.tar": .samples(1, shard: 0)],
      .init(files: [file, secret])
    )
    let first = try test.find(".wdsfs/stats.json")
    let second = try test.find(".wdsfs/stats.json")
    #expect(first.inode != second.inode)
    #expect(first.sizeBytes == 1 && second.sizeBytes == 2)
    #expect(try test.read(second.inode) == Array("xx".utf8))
    #expect(try test.read(first.inode) == Array("x".utf8))
    #expect(try test.read(second.inode, at: 1, count: 1) == Array("x".utf8))
    #expect(try test.read(second.inode, at: 2) == [])
    #expect(try test.find(".wdsfs/cursor.json").isPrivate)
    #expect(try test.names(".wdsfs") == ["stats.json", "cursor.json"])
    #expect(!test.tree.keepsEntry(first.inode))
    #expect(!test.tree.keepsMissing(in: Node.controls.inode))
    #expect(test.tree.keepsEntry(try test.find("train/0").inode))
  }

  @Test func forgettingASnapshotFreesIt() throws {
    let file = ControlFiles.File(name: "log") { Array("line\n".utf8) }
    let test = try TestTree(["train/a.tar": .samples(1, shard: 0)], .init(files: [file]))
    let snapshots = try (0..<100).map { _ in try test.find(".wdsfs/log").inode }
    #expect(test.tree.controls.snapshotCount == 100)
    for inode in snapshots.dropLast() { test.tree.forget(inode, lookupCount: 1) }
    #expect(test.tree.controls.snapshotCount == 1)
    #expect(throws: TreeError.self) { try test.read(snapshots[0]) }
    #expect(try test.read(snapshots[99]) == Array("line\n".utf8))
    // What keeps no state has nothing to forget.
    test.tree.forget(Node.root.inode, lookupCount: 7)
    test.tree.forget(.max, lookupCount: 7)
    #expect(test.tree.controls.snapshotCount == 1)
  }
}
