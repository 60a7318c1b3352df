import Remote
import SampleTree
import ShardCache
import TestSupport
import Testing

@Suite struct FieldTests {
  private func tree(
    _ members: [TestShard.Member],
    listsBareNames: Bool = false
  ) throws -> TestTree {
    var options = TestTree.Options()
    options.settings.listsBareNames = listsBareNames
    return try TestTree(["train/a.tar": TestShard(members)], options)
  }

  @Test func listedAndBareNamesAreOneFile() throws {
    let test = try tree([.init("d/7.left.png", "left"), .init("d/7.cls", "3")])
    #expect(try test.names("train/0/00000000") == ["7.left.png", "7.cls"])
    #expect(try test.find("train/0/00000000/left.png") == test.find("train/0/00000000/7.left.png"))
    #expect(try test.text("train/0/00000000/left.png") == "left")
    #expect(try test.attribute("user.wds.key", of: "train/0/00000000") == "d/7")
  }

  @Test func namesFieldListsBareNamesAndKeepsTheOthers() throws {
    let test = try tree([.init("7.png", "p"), .init("7.cls", "3")], listsBareNames: true)
    #expect(try test.names("train/0/00000000") == ["png", "cls"])
    #expect(try test.text("train/0/00000000/7.cls") == "3")
  }

  @Test func aListedNameWinsOverABareOne() throws {
    let test = try tree([.init("a.b", "listed"), .init("a.a.b", "other")])
    #expect(try test.text("train/0/00000000/a.b") == "listed")
    #expect(try test.text("train/0/00000000/a.a.b") == "other")
    #expect(try test.text("train/0/00000000/b") == "listed")
  }

  @Test("odd and long names are spelled one-to-one and found again")
  func oddNames() throws {
    let long = String(repeating: "x", count: 300)
    let test = try tree([
      .init("k.%%a", "1"), .init("k.\(long)", "2"), .init("k.\(long)y", "3"), .init("k.", "4"),
      .init("k..", "5"), .init("k.a\nb", "6"), .init(name: [0x6B, 0x2E, 0xFF], bytes: [0x37]),
      .init("%%k.jpg", "8"), .init(long + ".jpg", "9"),
    ])
    var texts: [String] = []
    for sample in try test.names("train/0") {
      let folder = try test.find("train/0/\(sample)")
      for entry in try test.list(folder.inode).dropFirst(2) {
        #expect(entry.name.count <= 255)
        let found = try test.lookUp(entry.name, in: folder.inode)
        #expect(found == entry.attributes)
        texts.append(String(decoding: try test.read(found.inode), as: UTF8.self))
      }
    }
    #expect(texts.sorted() == (1...9).map { String($0) })
    #expect(try test.text("train/0/00000000/%%%25%25a") == "1")
  }

  @Test("only canonical spellings are names")
  func canonical() throws {
    let test = try tree([.init("a.jpg", "x")])
    for path in [
      "train/00", "train/+0", "train/ 0", "train/1", "train/-1", "train/", "train/0x0",
      "train/0/0", "train/0/0000000", "train/0/000000000", "train/0/00000001", "train/0/0000000a",
      "train/0/99999999999999999999", "train/0/999999999999999999", "train/0/4294967296",
      "train/0/00000000/%%a.jpg", "train/0/00000000/JPG", "trai", "train2", ".wdsfs/none", ".shard",
    ] where path != "train/" {
      let error = #expect(throws: TreeError.self, "\(path)") { try test.find(path) }
      guard case .noSuchEntry = error else { throw TestFailure("\(path): \(error as Any)") }
    }
    let tooLong = #expect(throws: TreeError.self) {
      try test.find("train/" + String(repeating: "0", count: 256))
    }
    guard case .nameTooLong = tooLong else { throw TestFailure("\(tooLong as Any)") }
    let below = #expect(throws: TreeError.self) { try test.find("train/0/00000000/jpg/x") }
    guard case .notADirectory = below else { throw TestFailure("\(below as Any)") }
  }

  @Test func aSampleWithMoreFieldsThanFitFailsAsAWhole() throws {
    let fits = (0..<4095).map { TestShard.Member("a.f\($0)", "") }
    let more = (0..<4096).map { TestShard.Member("b.f\($0)", "") }
    let test = try tree(fits + more)
    #expect(try test.names("train/0/00000000").count == 4095)
    #expect(try test.find("train/0/00000000/f4094").sizeBytes == 0)
    let folder = try test.find("train/0/00000001").inode
    for question in [{ _ = try test.list(folder) }, { _ = try test.lookUp("f0", in: folder) }] {
      let error = #expect(throws: TreeError.self) { try question() }
      guard case .tooManyFields(_, let shard, 4096) = error else {
        throw TestFailure("\(error as Any)")
      }
      #expect(shard == ObjectKey("train/a.tar"))
    }
  }

  @Test func aSparseFieldIsSeenAndNotRead() throws {
    let test = try tree([.init("a.bin", "12345", isSparse: true), .init("a.cls", "3")])
    let field = try test.find("train/0/00000000/bin")
    #expect(field.sizeBytes == 5 + 4096)
    let error = #expect(throws: TreeError.self) { try test.read(field.inode) }
    guard case .sparseField(let path, _) = error else { throw TestFailure("\(error as Any)") }
    #expect(path == "train/0/00000000/a.bin")
    #expect(try test.text("train/0/00000000/cls") == "3")
  }

  @Test func attributesSayWhatTheTarSays() throws {
    let test = try tree([.init("a.jpg", "12345")])
    let field = try test.find("train/0/00000000/jpg")
    #expect(field.sizeBytes == 5 && !field.isDirectory && !field.isPrivate)
    #expect(field.modifiedSeconds == Int64(TestShard.modifiedSeconds))
    try test.directory.setModified("train/a.tar", seconds: 1)
    #expect(try test.find("train").modifiedSeconds == 1_700_000_000)
  }

  @Test func extendedAttributesSayWhence() throws {
    let test = try tree([.init("a.jpg", "12345"), .init("a.cls", "3"), .init("b.cls", "4")])
    let sample = "train/0/00000001"
    #expect(try test.attribute("user.wds.key", of: sample) == "b")
    #expect(try test.attribute("user.wds.shard", of: sample) == "train/a.tar")
    #expect(try test.attribute("user.wds.number", of: sample) == "1")
    #expect(try test.attribute("user.wds.offset", of: sample) == "2048")
    #expect(try test.attribute("user.wds.offset", of: sample + "/cls") == "2560")
    let eTag = try test.attribute("user.wds.etag", of: sample)
    #expect(!eTag.isEmpty)
    #expect(eTag == test.cache.shards[0].eTag)
    #expect(try test.attribute("user.wds.epoch", of: "train/0") == "0")
    let names = try test.answer { [inode = try test.find(sample).inode] () throws(Obstacle) in
      try test.tree.extendedAttributeNames(of: inode)
    }
    #expect(names == ["key", "shard", "number", "offset", "etag"].map { "user.wds.\($0)" })
    for (name, path) in [
      ("user.wds.nothing", sample), ("user.wds.samples", sample), ("user.wds.key", "train"),
      ("security.selinux", sample), ("user.wds.key", "train/0"),
    ] {
      let error = #expect(throws: TreeError.self) { try test.attribute(name, of: path) }
      guard case .noSuchAttribute = error else { throw TestFailure("\(error as Any)") }
    }
  }

  @Test func aRankSaysHowManySamplesItHasOnceThatIsKnown() throws {
    let test = try TestTree([
      "train/a.tar": .samples(3, shard: 0), "train/b.tar": .samples(4, shard: 1),
    ])
    func names() throws -> [String] {
      try test.answer { [inode = try test.find("train/0").inode] () throws(Obstacle) in
        try test.tree.extendedAttributeNames(of: inode)
      }
    }
    #expect(try names() == ["user.wds.epoch"])
    // Whoever else reads the shards makes them known.
    for shard in ["a", "b"] { _ = try test.names(".shards/train/\(shard).tar.d") }
    #expect(try names() == ["user.wds.samples", "user.wds.epoch"])
    #expect(try test.attribute("user.wds.samples", of: "train/0") == "7")
  }

  // MARK: Reading

  @Test("a read gives what the file has there, at every edge")
  func edges() throws {
    let chunk = 1 << 20
    let bytes = noise(3 * chunk + 777)
    let test = try tree([
      .init(name: Array("a.bin".utf8), bytes: bytes), .init("a.empty", ""), .init("b.cls", "1"),
    ])
    let file = try test.find("train/0/00000000/bin")
    #expect(file.sizeBytes == Int64(bytes.count))
    // The field begins 512 bytes into the shard, so that its pages lie across chunks.
    let offsets = [
      0, 1, 511, chunk - 513, chunk - 512, chunk - 511, chunk, 2 * chunk - 600, bytes.count - 1,
      bytes.count, bytes.count + 1, Int.max,
    ]
    for offset in offsets {
      for count in [0, 1, 511, 4096, 131_072, chunk] {
        let start = min(offset, bytes.count)
        let wanted = bytes[start..<min(bytes.count, start + count)]
        let read = try test.read(file.inode, at: Int64(offset), count: count)
        #expect(read.elementsEqual(wanted), "\(count) bytes at \(offset)")
      }
    }
    let empty = try test.find("train/0/00000000/empty")
    #expect(empty.sizeBytes == 0)
    #expect(try test.read(empty.inode) == [])
    #expect(try test.read(empty.inode, at: 5) == [])
  }

  @Test func aLookAtNamesAndSizesFetchesNoBodies() throws {
    let bytes = noise(8 << 20)
    let test = try tree((0..<3).map { .init(name: Array("k\($0).bin".utf8), bytes: bytes) })
    for sample in try test.names("train/0") { _ = try test.names("train/0/\(sample)") }
    #expect(test.store.statistics.bytesReceived < 8 << 20)
  }

  @Test func aDirectoryIsNotRead() throws {
    let test = try tree([.init("a.jpg", "x")])
    for path in ["", "train", "train/0", "train/0/00000000", ".wdsfs", ".shards", ".shards/train"] {
      let error = #expect(throws: TreeError.self) { try test.read(test.find(path).inode) }
      guard case .isADirectory = error else { throw TestFailure("\(path): \(error as Any)") }
    }
    let file = try test.find("train/0/00000000/jpg").inode
    let error = #expect(throws: TreeError.self) { try test.list(file) }
    guard case .notADirectory = error else { throw TestFailure("\(error as Any)") }
  }

  @Test("numbers that were never handed out are nobody's")
  func strangers() throws {
    let test = try tree([.init("a.jpg", "x")])
    _ = try test.names("train/0")
    let strangers: [Node] = [
      .split(5), .streamSplit(9), .stream(pass: 98), .pass(99), .shardSplit(3),
      .sample(pass: 77, position: 0), .sample(pass: 1, position: 5), .snapshot(4),
      .field(pass: 1, position: 0, field: 9), .shardFile(split: 0, place: 9),
      .shardFile(split: 9, place: 0), .classSplit(9), .classFolder(split: 0, number: 9),
    ]
    for inode in strangers.map(\.inode) + [0, 7, .max] {
      #expect(throws: TreeError.self) {
        _ = try test.answer { () throws(Obstacle) in
          try test.tree.attributes(of: inode)
        }
      }
      #expect(throws: TreeError.self) { try test.read(inode) }
      #expect(throws: TreeError.self) { try test.list(inode) }
      #expect(throws: TreeError.self) { try test.lookUp("x", in: inode) }
      #expect(!test.tree.path(of: inode).isEmpty)
    }
  }
}
