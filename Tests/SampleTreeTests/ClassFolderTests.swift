import Remote
import SampleTree
import TestSupport
import Testing

@Suite struct ClassFolderTests {
  /// One sample: its key, its class, and what its picture shows.
  private static func sample(
    _ key: String,
    _ name: String?,
    _ picture: String
  ) -> [TestShard.Member] {
    let picture = TestShard.Member("\(key).jpg", picture)
    return name.map { [picture, TestShard.Member("\(key).cls", $0)] } ?? [picture]
  }

  private static let shards = [
    "train/a.tar": TestShard(
      sample("0001", "cat\n", "first cat") + sample("0002", "dog", "first dog")
        + sample("0003", nil, "nobody")
    ),
    "train/b.tar": TestShard(
      sample("0004", "cat", "second cat") + sample("0005", "ape", "only ape")
    ),
    "val/a.tar": TestShard(sample("0001", "dog", "other dog")),
  ]

  @Test func samplesLieInTheFolderOfTheirClass() throws {
    let test = try TestTree(Self.shards, .init(worldSize: 2))
    #expect(try test.names("") == ["train", "val"])
    #expect(try test.names(".classes") == ["train", "val"])
    #expect(try test.names(".classes/train") == ["ape", "cat", "dog"])
    #expect(try test.names(".classes/val") == ["dog"])
    #expect(try test.names(".classes/train/cat") == ["0001.jpg", "0004.jpg"])
    #expect(try test.text(".classes/train/cat/0004.jpg") == "second cat")
    #expect(try test.text(".classes/train/ape/0005.jpg") == "only ape")
    #expect(try test.text(".classes/val/dog/0001.jpg") == "other dog")
    // Beside the picture, and not listed.
    #expect(try test.text(".classes/train/cat/0001.cls") == "cat\n")
    #expect(try test.attribute("user.wds.key", of: ".classes/train/cat/0004.jpg") == "0004")
    for missing in [
      "cow", "cat/0002.jpg", "cat/0001.png", "cat/0001", "cat/jpg", "cat/0001~2.jpg", "cat\n",
    ] {
      #expect(throws: TreeError.self) { try test.find(".classes/train/\(missing)") }
    }
  }

  @Test func aListingIsTheSameInPiecesAndByLookup() throws {
    let members = (0..<300).flatMap { number in
      Self.sample("k\(number)", "c\(number % 3)", "\(number)") + [
        TestShard.Member("k\(number).json", "{}")
      ]
    }
    let test = try TestTree(["train/a.tar": TestShard(members)])
    for name in try test.names(".classes/train") {
      let folder = try test.find(".classes/train/\(name)").inode
      let whole = try test.list(folder)
      #expect(whole.count == 2 + 200)
      #expect(Set(whole.map(\.text)).count == whole.count)
      for limit in [1, 7, 64] { #expect(try test.list(folder, limit: limit) == whole) }
      for entry in whole.dropFirst(2) {
        #expect(try test.lookUp(entry.name, in: folder) == entry.attributes)
      }
    }
  }

  @Test func keysThatRepeatAreNumbered() throws {
    let shards = [
      "train/a.tar": TestShard(
        Self.sample("x/k", "1", "0") + Self.sample("y/k", "1", "1") + Self.sample("k~2", "1", "2")
      ),
      "train/b.tar": TestShard(
        Self.sample("k", "1", "3") + Self.sample("z/k~2", "1", "5") + Self.sample("k", "2", "4")
      ),
    ]
    let test = try TestTree(shards)
    // `k~2` is somebody's own, so the second `k` is the third.
    let names = ["k.jpg", "k~3.jpg", "k~2.jpg", "k~4.jpg", "k~2~2.jpg"]
    #expect(try test.names(".classes/train/1") == names)
    let texts = try names.map { try test.text(".classes/train/1/\($0)") }
    #expect(texts == ["0", "1", "2", "3", "5"])
    #expect(try test.names(".classes/train/2") == ["k.jpg"])
    #expect(try test.text(".classes/train/2/k.jpg") == "4")
  }

  @Test func manyOfOneKeyAreAllFound() throws {
    // By turns, so that each is a sample of its own.
    let members = (0..<400).flatMap { number in
      Self.sample(number % 2 == 0 ? "k" : "l", "1", "\(number)")
    }
    let test = try TestTree(["train/a.tar": TestShard(members)])
    let names = try test.names(".classes/train/1")
    #expect(Set(names).count == 400)
    for (number, name) in names.enumerated() {
      #expect(try test.text(".classes/train/1/\(name)") == "\(number)")
    }
    #expect(names.last == "l~200.jpg")
  }

  @Test func namesThatAreNoFileNamesAreEscaped() throws {
    let long = String(repeating: "/", count: 200)
    let members =
      Self.sample("0", "a/b", "slash") + Self.sample("1", "..", "dots")
      + Self.sample("2", "%%", "mark") + Self.sample("3", long, "long")
      + Self.sample(String(repeating: "k", count: 300), "a/b", "key")
      + [TestShard.Member("%%/%%x.jpg", "mark"), TestShard.Member("%%/%%x.cls", "a/b")]
    let test = try TestTree(["train/a.tar": TestShard(members)])
    let classes = try test.names(".classes/train")
    #expect(classes.count == 4)
    #expect(classes.contains("%%a%2Fb") && classes.contains("%%%2E%2E"))
    #expect(classes.contains("%%%25%25"))
    #expect(classes.contains { $0.hasPrefix("%%sha256-") })
    for name in classes {
      for file in try test.names(".classes/train/\(name)") {
        #expect(try !test.text(".classes/train/\(name)/\(file)").isEmpty)
      }
    }
    #expect(
      try test.names(".classes/train/%%a%2Fb").contains("%%%25%25x.jpg")
    )
    #expect(try test.text(".classes/train/%%a%2Fb/%%%25%25x.jpg") == "mark")
    // A digest that is nobody's.
    let digest = "%%sha256-" + String(repeating: "0", count: 64)
    #expect(throws: TreeError.self) { try test.find(".classes/train/\(digest)") }
    #expect(throws: TreeError.self) { try test.find(".classes/train/%%a%2Fb/\(digest)") }
  }

  @Test func nothingIsIndexedBeforeSomebodyLooks() throws {
    let test = try TestTree(Self.shards)
    #expect(try test.find(".classes/train").isDirectory)
    #expect(try test.names(".classes") == ["train", "val"])
    #expect(test.store.fetchCount == 0)
    #expect(try test.names(".classes/val") == ["dog"])
    #expect(test.store.fetchedKeys == ["val/a.tar"])
  }

  @Test func readingCountsForNoRank() throws {
    let test = try TestTree(["train/a.tar": .samples(4, shard: 0)])
    for name in try test.names(".classes/train") {
      for file in try test.names(".classes/train/\(name)") {
        _ = try test.text(".classes/train/\(name)/\(file)")
      }
    }
    #expect(test.ledger.samples.isEmpty)
    #expect(try test.names("train/0").count == 4)
  }

  @Test func aShardThatCannotBeReadFailsTheLookupUntilItCan() throws {
    let test = try TestTree(Self.shards)
    test.store.fail("train/b.tar", with: .refused(what: "it", code: "AccessDenied", detail: ""))
    for _ in 0..<2 {
      #expect(throws: TreeError.self) { try test.names(".classes/train") }
      #expect(throws: TreeError.self) { try test.find(".classes/train/cat") }
    }
    #expect(try test.names(".classes/val") == ["dog"])
    test.store.fail("train/b.tar", with: nil)
    #expect(try test.names(".classes/train") == ["ape", "cat", "dog"])
  }

  @Test func unreadableShardsAreLeftOutWhereAllOfThemAre() throws {
    let settings = TreeSettings(skipsUnreadable: true)
    let test = try TestTree(Self.shards, .init(settings: settings))
    test.store.fail("train/a.tar", with: .refused(what: "it", code: "AccessDenied", detail: ""))
    #expect(try test.names(".classes/train") == ["ape", "cat"])
    #expect(try test.names(".classes/train/cat") == ["0004.jpg"])
  }

  @Test func manyWaitForOneTable() throws {
    let shards = Dictionary(
      uniqueKeysWithValues: (0..<30).map {
        ("train/\(100 + $0).tar", TestShard.samples(3, shard: $0))
      }
    )
    let test = try TestTree(shards)
    test.store.hold(["train/129.tar"])
    let waiters = (0..<20).map { _ in WaitingTest() }
    for waiter in waiters { test.tree.wait(for: .classes(split: 0), waiter) }
    test.store.waitForHeld(1)
    test.store.release()
    for waiter in waiters { #expect(waiter.wait() == nil) }
    #expect(try test.names(".classes/train") == ["0", "1", "2"])
    #expect(try test.names(".classes/train/2").count == 30)
  }

  @Test func aSplitWithoutClassesIsEmpty() throws {
    let test = try TestTree(["train/a.tar": TestShard(Self.sample("0", nil, "x"))])
    #expect(try test.names(".classes/train") == [])
  }
}
