import SampleOrder
import SampleTree
import ShardCache
import TarIndex
import TestSupport
import Testing

/// `/.streams/<split>/<rank>.tar`.
@Suite struct SampleStreamTests {
  private static let counts = [3, 0, 5, 2, 90]
  private static let order = TestTree.Order(shuffle: .full, seed: 21)
  private static let path = ".streams/train/0.tar"

  private static var shards: [String: TestShard] {
    var shards: [String: TestShard] = [:]
    for (number, count) in counts.enumerated() {
      shards["train/\(number).tar"] = .samples(count, shard: number, fieldBytes: 300 * number + 7)
    }
    return shards
  }

  private func tree(_ cursor: Cursor? = nil) throws -> TestTree {
    try TestTree(Self.shards, .init(order: Self.order, cursor: cursor))
  }

  /// The tar as it must be: of what a directory lists, read another way.
  private static func reference(_ cursor: Cursor? = nil) throws -> (tar: [UInt8], ends: [Int]) {
    let test = try TestTree(Self.shards, .init(order: order, cursor: cursor))
    var tar: [UInt8] = []
    var ends: [Int] = []
    for index in try test.names("train/0") {
      for field in try test.names("train/0/\(index)") {
        let bytes = Array(try test.text("train/0/\(index)/\(field)").utf8)
        tar +=
          TarMemberHeader(
            name: Array(field.utf8),
            sizeBytes: Int64(bytes.count),
            modifiedSeconds: Int64(TestShard.modifiedSeconds)
          ).bytes
        let padding = TarMemberHeader.paddingBytes(after: Int64(bytes.count))
        tar += bytes + [UInt8](repeating: 0, count: padding)
      }
      ends.append(tar.count)
    }
    return (tar + [UInt8](repeating: 0, count: TarMemberHeader.endBytes), ends)
  }

  @Test(
    "read in pieces of any size, the bytes are equal",
    arguments: [997, 4096, 131_072, 1 << 20]
  )
  func pieces(_ size: Int) throws {
    let (tar, ends) = try Self.reference()
    let test = try tree()
    #expect(try test.find(Self.path).sizeBytes >= Int64(tar.count))
    #expect(try test.stream(Self.path, pieceBytes: size) == tar)
    #expect(try test.progress().consumed == Consumed(below: ends.count))
    #expect(test.ledger.positions.sorted() == Array(0..<ends.count))
    let scanned = tar.withUnsafeBytes { bytes in
      var scanner = TarScanner(objectBytes: Int64(bytes.count), limits: TarLimits())
      scanner.feed(bytes, at: 0)
      return scanner.snapshot()
    }
    #expect(scanned.sampleCount == ends.count)
    #expect(scanned.damage == nil)
  }

  @Test func readAnywhereTheBytesAreEqual() throws {
    let (tar, _) = try Self.reference()
    let test = try tree()
    let inode = try test.find(Self.path).inode
    var state: UInt64 = 7
    for _ in 0..<60 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let offset = Int(state >> 33) % (tar.count + 2000)
      let count = Int(state >> 20) % 9000
      let wanted = Array(tar[min(offset, tar.count)..<min(tar.count, offset + count)])
      #expect(try test.read(inode, at: Int64(offset), count: count) == wanted)
    }
    #expect(try test.read(inode, at: Int64.max, count: 10) == [])
    #expect(try test.read(inode, at: 0, count: 0) == [])
  }

  @Test func onlyWhatRemainedIsInIt() throws {
    let first = try tree()
    try first.readSamples([0, 1, 2, 5, 40], of: "train/0")
    let cursor = first.tree.run.cursor()
    let (tar, ends) = try Self.reference(cursor)
    #expect(ends.count == 95)
    let test = try tree(cursor)
    #expect(try test.stream(Self.path, pieceBytes: 10_000) == tar)
    #expect(try test.progress().consumed == Consumed(below: 100))
  }

  @Test func aSampleCountsOnceMoreWasAskedForThanTheKernelReadsAhead() throws {
    let shards = ["train/0.tar": TestShard.samples(60, shard: 0, fieldBytes: 50_000)]
    let test = try TestTree(shards, .init(order: Self.order))
    let tar = try TestTree(shards, .init(order: Self.order)).stream(Self.path, pieceBytes: 1 << 20)
    let sampleBytes = (tar.count - TarMemberHeader.endBytes) / 60
    let ahead = 2 * KernelReadAhead.bytes
    let inode = try test.find(Self.path).inode
    for offset in stride(from: 0, to: tar.count - 10_000, by: 10_000) {
      _ = try test.read(inode, at: Int64(offset), count: 10_000)
      let seen = max(0, offset - ahead) / sampleBytes
      #expect(try test.progress().consumed == Consumed(below: seen))
    }
    #expect(try test.progress().consumed != .none)
    _ = try test.read(inode, at: Int64(tar.count) - 100, count: 100)
    #expect(try test.progress().consumed == Consumed(below: 60))
    #expect(try test.find(Self.path).inode != inode)
  }

  @Test func onceReadToItsEndItsSizeIsExact() throws {
    let (tar, _) = try Self.reference()
    let test = try tree()
    let inode = try test.find(Self.path).inode
    _ = try test.stream(Self.path, pieceBytes: 1 << 20)
    let attributes = try test.answer { () throws(Obstacle) in
      try test.tree.attributes(of: inode)
    }
    #expect(attributes.sizeBytes == Int64(tar.count))
  }

  @Test func longNamesStayBelowTheSize() throws {
    let key = String(repeating: "k", count: 230)
    let members = (0..<40).map { TestShard.Member("\(key)\($0).jpg", "") }
    let test = try TestTree(["train/a.tar": TestShard(members)])
    let size = try test.find(Self.path).sizeBytes
    let tar = try test.stream(Self.path, pieceBytes: 5000)
    #expect(size >= Int64(tar.count))
  }

  @Test func repeatedSamplesStayBelowTheSize() throws {
    let options = TestTree.Order(equalize: .repeat)
    let shards: [String: TestShard] = [
      "train/0.tar": .samples(1, shard: 0, fieldBytes: 5000), "train/1.tar": .samples(50, shard: 1),
    ]
    let test = try TestTree(shards, .init(worldSize: 2, order: options))
    let size = try test.find(Self.path).sizeBytes
    let tar = try test.stream(Self.path, pieceBytes: 1 << 20)
    #expect(tar.count > 50 * 5000)
    #expect(size >= Int64(tar.count))
  }

  @Test func bytesThatCannotBeHadAreAnErrorAndCountNothing() throws {
    let members = [
      TestShard.Member("a.jpg", "x"), TestShard.Member("b.jpg", "xy", isSparse: true),
      TestShard.Member("c.jpg", "z"),
    ]
    let test = try TestTree(["train/a.tar": TestShard(members)])
    let inode = try test.find(Self.path).inode
    #expect(try test.read(inode, at: 0, count: 1024).count == 1024)
    #expect(throws: TreeError.self) { try test.read(inode, at: 1024, count: 1024) }
    #expect(try test.progress().consumed == .none)
    #expect(throws: TreeError.self) { try test.read(inode, at: 9000, count: 1024) }
    #expect(try test.progress().consumed == .none)
  }

  private static let hasPython = (try? RunningProcess("python3", ["-c", ""]).wait()) == 0

  /// Compares each member's name as hexadecimal digits, its size and its time.
  private static let pythonReader = """
    import sys, tarfile
    found = []
    for member in tarfile.open(sys.argv[1], "r|"):
        name = member.name.encode("utf-8", "surrogateescape").hex()
        found.append(f"{name} {member.size} {int(member.mtime)}")
    sys.exit(found != sys.argv[2:])
    """

  @Test("Python's tarfile reads it", .enabled(if: hasPython))
  func python() throws {
    let names = [
      "a.jpg", String(repeating: "k", count: 240) + ".jpg",
      String(repeating: "d/", count: 70) + "key.jpg", "\u{E9}\u{65E5}.jpg",
    ]
    let members = names.enumerated().map { number, name in
      TestShard.Member(name, String(repeating: "x", count: number * 511))
    }
    let test = try TestTree(["train/a.tar": TestShard(members)])
    try test.directory.write(test.stream(Self.path, pieceBytes: 700), to: "out/stream.tar")
    let wanted = names.enumerated().map { number, name in
      let digits = name.utf8.map { byte in
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
      return "\(digits.joined()) \(number * 511) \(TestShard.modifiedSeconds)"
    }
    let arguments = ["-c", Self.pythonReader, test.directory.path + "/out/stream.tar"]
    #expect(try RunningProcess("python3", arguments + wanted).wait() == 0)
    let wrong = wanted.dropLast() + ["x"]
    #expect(try RunningProcess("python3", arguments + wrong).wait() == 1)
  }

  @Test func namesOfNoRankAreNotThere() throws {
    let test = try tree()
    #expect(try test.names(".streams") == ["train"])
    #expect(try test.names(".streams/train") == ["0.tar"])
    for name in ["1.tar", "0", ".tar", "00.tar", "x.tar", "0.tar.gz"] {
      #expect(throws: TreeError.self) { try test.find(".streams/train/\(name)") }
    }
  }
}
