import Remote
import SampleOrder
import SampleTree
import ShardCache
import TestSupport
import Testing

/// Reading counts, and a listing turns the epoch.
@Suite struct RunTests {
  private static func shards(_ counts: [Int]) -> [String: TestShard] {
    var shards: [String: TestShard] = [:]
    for (number, count) in counts.enumerated() {
      shards["train/\(number).tar"] = .samples(count, shard: number)
    }
    return shards
  }

  /// Samples whose fields are all empty where told so.
  private static func sparseShard(_ isEmpty: [Bool]) -> TestShard {
    TestShard(
      isEmpty.enumerated().map { number, isEmpty in
        TestShard.Member("s\(number).jpg", isEmpty ? "" : "x")
      }
    )
  }

  @Test(
    "a rank's keys are those that the order names",
    arguments: [
      TestTree.Order(shuffle: .shards, seed: 5),
      TestTree.Order(shuffle: .full, seed: 7),
      TestTree.Order(shuffle: .full, seed: 7, lanes: 4, shuffleWindow: 2),
      TestTree.Order(shuffle: .full, seed: 9, partition: .samples),
      TestTree.Order(shuffle: .full, seed: 9, partition: .samples, equalize: .drop),
      TestTree.Order(shuffle: .shards, seed: 3, partition: .samples, equalize: .repeat),
      TestTree.Order(shuffle: .full, seed: 3, partition: .shards, equalize: .drop),
    ]
  )
  func order(_ options: TestTree.Order) throws {
    let counts = [3, 1, 0, 5, 2, 4, 7]
    let test = try TestTree(Self.shards(counts), .init(worldSize: 2, order: options))
    let parameters = try OrderParameters(
      shuffle: options.shuffle,
      seed: options.seed,
      worldSize: 2,
      lanes: options.lanes,
      shuffleWindow: options.shuffleWindow,
      partition: options.partition,
      equalize: options.equalize
    )
    let shape = try DatasetShape(sampleCounts: counts)
    for rank in 0..<2 {
      for (epoch, path) in [(0, "train/\(rank)"), (3, ".epochs/3/train/\(rank)")] {
        let order = try EpochOrder(parameters, epoch: epoch, shape: shape).rank(rank)
        let wanted = (0..<(order.length ?? 0)).compactMap { position -> String? in
          guard case .sample(let shard, let number) = order.place(at: position) else { return nil }
          return TestShard.key(shard: shard, number: number)
        }
        #expect(try test.keys(path) == wanted)
        #expect(try test.attribute("user.wds.epoch", of: path) == String(epoch))
      }
    }
  }

  @Test func aSampleCountsOnceHoweverOftenItIsRead() throws {
    let test = try TestTree(Self.shards([4]))
    for _ in 0..<3 {
      try test.readSamples([2, 0], of: "train/0")
      _ = try test.text("train/0/00000002/cls")
    }
    #expect(test.ledger.positions == [2, 0])
    #expect(test.tree.run.changeCount == 2)
    #expect(try test.progress().consumed.allRanges == [0..<1, 2..<3])
    let line = try #require(test.ledger.samples.first)
    #expect(line.key == Array("s0n2".utf8))
    #expect(line.shard == ObjectKey("train/0.tar"))
    #expect((line.split, line.rank, line.epoch, line.number) == (0, 0, 0, 2))
    #expect(!line.isError)
  }

  @Test func looksAndListingsDoNotCount() throws {
    let test = try TestTree(Self.shards([3]))
    _ = try test.keys("train/0")
    _ = try test.names("train/0/00000001")
    _ = try test.find("train/0/00000001/jpg")
    #expect(test.ledger.positions == [])
    #expect(test.tree.run.changeCount == 0)
  }

  @Test func aListingKeepsItsNamesWhileReadingGoesOn() throws {
    let test = try TestTree(Self.shards([4, 4]))
    let before = try test.names("train/0")
    #expect(before.count == 8)
    for position in 0..<7 {
      try test.readSamples([position], of: "train/0")
      #expect(try test.names("train/0") == before)
    }
  }

  @Test func whatWasConsumedAtMountIsNotListedButOpens() throws {
    let test = try TestTree(Self.shards([3, 3]))
    try test.readSamples([0, 1, 4], of: "train/0")
    let cursor = test.tree.run.cursor()
    let again = try TestTree(Self.shards([3, 3]), .init(cursor: cursor))
    #expect(try again.names("train/0") == [2, 3, 5].map(TestTree.name))
    #expect(try again.attribute("user.wds.key", of: "train/0/00000001") == "s0n1")
    #expect(again.tree.run.cursor() == cursor)
    try again.readSamples([2, 3, 5], of: "train/0")
    #expect(try again.progress().consumed == Consumed(below: 6))
  }

  @Test func theTurnIsMadeAtAListingFromTheStartAlone() throws {
    let options = TestTree.Order(shuffle: .full, seed: 11)
    let test = try TestTree(Self.shards([3, 2]), .init(order: options))
    let first = try test.keys("train/0")
    let old = try test.find("train/0")
    let oldField = try test.find("train/0/00000004/jpg")
    try test.readSamples(0..<4, of: "train/0")
    #expect(!test.kernel.attributes.contains(old.inode))
    let oldText = try test.text("train/0/00000004/jpg")
    // The kernel is to look at the directory again, whose time has changed.
    #expect(test.kernel.attributes == [old.inode])
    #expect(test.kernel.entries == [])
    let ended = try test.find("train/0")
    #expect(ended.inode == old.inode)
    #expect(ended.modifiedNanoseconds != old.modifiedNanoseconds)
    _ = try test.list(old.inode, from: 4)
    _ = try test.find("train/0/00000001/cls")
    #expect(try test.attribute("user.wds.epoch", of: "train/0") == "0")
    #expect(try test.progress().epoch == 0)

    let listed = try test.list(old.inode)
    #expect(listed.count == 7)
    #expect(try test.progress() == Progress(epoch: 1))
    let new = try test.find("train/0")
    #expect(new.inode != old.inode)
    #expect(test.kernel.attributes.contains(old.inode))
    let split = try test.find("train")
    #expect(test.kernel.entries == [KernelSpy.Entry(name: "0", parent: split.inode)])
    #expect(try test.keys("train/0") != first)
    #expect(try test.keys("train/0").sorted() == first.sorted())
    #expect(try test.attribute("user.wds.epoch", of: "train/0") == "1")

    // Whoever holds the old directory sees the present pass; old fields keep their sample.
    #expect(try test.list(old.inode).dropFirst(2) == test.list(new.inode).dropFirst(2))
    let byOld = try test.lookUp("00000004", in: old.inode)
    #expect(try byOld == test.lookUp("00000004", in: new.inode))
    #expect(String(decoding: try test.read(oldField.inode), as: UTF8.self) == oldText)
    #expect(try test.progress() == Progress(epoch: 1))
    #expect(test.ledger.positions == [0, 1, 2, 3, 4])
  }

  @Test func ranksTurnEachForThemselves() throws {
    let test = try TestTree(Self.shards([2, 3]), .init(worldSize: 2))
    for _ in 0..<3 {
      _ = try test.names("train/0")
      try test.readSamples(0..<2, of: "train/0")
    }
    _ = try test.names("train/0")
    #expect(try test.progress("train", 0) == Progress(epoch: 3))
    #expect(try test.progress("train", 1) == Progress(epoch: 0))
  }

  @Test func aRankWithoutSamplesNeverTurns() throws {
    let test = try TestTree(Self.shards([2]), .init(worldSize: 2))
    for _ in 0..<3 { #expect(try test.names("train/1") == []) }
    #expect(try test.progress("train", 1).epoch == 0)
  }

  @Test func passesLongLeftAreLetGo() throws {
    let test = try TestTree(Self.shards([1]))
    let first = try test.find("train/0")
    let field = try test.find("train/0/00000000/jpg")
    for epoch in 0..<12 {
      #expect(try test.names("train/0") == ["00000000"])
      #expect(try test.progress().epoch == epoch)
      try test.readSamples([0], of: "train/0")
    }
    #expect(throws: TreeError.self) { try test.read(field.inode) }
    // Who still stands in the directory of the first epoch goes on.
    #expect(try test.list(first.inode).count == 3)
    #expect(try test.progress().epoch == 12)
  }

  // MARK: Empty samples

  @Test func anEmptySampleCountsWithALaterOne() throws {
    let shard = Self.sparseShard([true, false, true, true, false, false])
    let test = try TestTree(["train/a.tar": shard])
    try test.readSamples([1], of: "train/0")
    #expect(try test.progress().consumed == Consumed(below: 2))
    try test.readSamples([5], of: "train/0")
    #expect(try test.progress().consumed.allRanges == [0..<2, 5..<6])
    try test.readSamples([4], of: "train/0")
    #expect(try test.progress().consumed == Consumed(below: 6))
    #expect(test.ledger.positions.sorted() == [0, 1, 2, 3, 4, 5])
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 1)
  }

  @Test("an epoch ends though its last samples are empty", arguments: [[1, 4], [4, 1]])
  func emptyEnd(_ reads: [Int]) throws {
    let shard = Self.sparseShard([true, false, true, true, false, true, true])
    let test = try TestTree(["train/a.tar": shard])
    let directory = try test.find("train/0")
    try test.readSamples(reads, of: "train/0")
    #expect(try test.progress().consumed == Consumed(below: 7))
    #expect(test.ledger.positions.sorted() == Array(0..<7))
    #expect(test.kernel.attributes == [directory.inode])
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 1)
  }

  @Test("an epoch ends though its empty end was not indexed when its last field was read")
  func lateEmptyEnd() throws {
    let shards: [String: TestShard] = [
      "train/a.tar": .samples(2, shard: 0), "train/b.tar": Self.sparseShard([true, true]),
    ]
    let test = try TestTree(shards)
    try test.readSamples([0, 1], of: "train/0")
    // What is fetched ahead may have been indexed by then, and nothing is left.
    let consumed = try test.progress().consumed
    #expect(consumed == Consumed(below: 2) || consumed == Consumed(below: 4))
    _ = try test.names("train/0")
    #expect(test.ledger.positions == [0, 1, 2, 3])
    _ = try test.names("train/0")
    #expect(try test.progress().epoch == 1)
  }

  @Test func anEpochOfEmptySamplesEndsOnceItIsListed() throws {
    let test = try TestTree(["train/a.tar": Self.sparseShard([true, true])])
    let directory = try test.find("train/0")
    #expect(try test.names("train/0").count == 2)
    #expect(try test.progress() == Progress(consumed: Consumed(below: 2)))
    #expect(test.ledger.positions == [0, 1])
    #expect(test.kernel.attributes == [directory.inode])
    for epoch in 1..<4 {
      #expect(try test.names("train/0").count == 2)
      #expect(try test.progress().epoch == epoch)
    }
  }

  @Test func anEpochOfEmptySamplesThatIsOnlyLookedAtGoesOn() throws {
    let test = try TestTree(["train/a.tar": Self.sparseShard([true, true])])
    _ = try test.find("train/0/00000001/jpg")
    #expect(try test.names(".epochs/0/train/0").count == 2)
    #expect(try test.progress("train", 0).epoch == 0)
  }

  @Test func emptySamplesThatATrainerCommitsAreItsAffair() throws {
    let test = try TestTree(["train/a.tar": Self.sparseShard([true, true])])
    try test.write("1\n", to: "train/0/.cursor")
    for _ in 0..<3 { #expect(try test.names("train/0").count == 2) }
    #expect(try test.progress().consumed == Consumed(below: 1))
  }

  // MARK: Failures

  @Test func aReadThatFailedForGoodCountsAsAnError() throws {
    let members = [
      TestShard.Member("a.jpg", "xy", isSparse: true), TestShard.Member("b.jpg", "z"),
    ]
    let test = try TestTree(["train/a.tar": TestShard(members)])
    let field = try test.find("train/0/00000000/jpg")
    for _ in 0..<2 {
      #expect(throws: TreeError.self) { try test.read(field.inode) }
      test.tree.noteFailure(of: field.inode)
    }
    #expect(test.ledger.samples.map(\.isError) == [true])
    #expect(try test.progress().consumed == Consumed(below: 1))
    test.tree.noteFailure(of: try test.find("train/0").inode)
    test.tree.noteFailure(of: UInt64.max)
    #expect(test.ledger.positions == [0])
  }

  // MARK: Epochs by name

  @Test func namedEpochsDoNotCountAndNeverTurn() throws {
    let order = TestTree.Order(shuffle: .full, seed: 2)
    let test = try TestTree(Self.shards([3, 4]), .init(order: order))
    let epochs = try (0..<4).map { try test.keys(".epochs/\($0)/train/0") }
    #expect(try epochs[0] == test.keys("train/0"))
    #expect(Set(epochs).count > 1)
    #expect(try test.names(".epochs/2") == ["train"])
    #expect(try test.names(".epochs/2/train") == ["0"])
    try test.readSamples(0..<7, of: ".epochs/1/train/0")
    #expect(try test.keys(".epochs/1/train/0") == epochs[1])
    #expect(test.tree.run.changeCount == 0)
    #expect(test.ledger.positions == [])
    for name in ["x", "00", "-1", "99999999999999999999"] {
      #expect(throws: TreeError.self) { try test.find(".epochs/\(name)") }
    }
    #expect(throws: TreeError.self) { try test.find(".epochs/1/train/1") }
    #expect(throws: TreeError.self) { try test.find(".epochs/1/val") }
  }
}
