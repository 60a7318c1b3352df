import Glibc
import Remote
import SampleTree
import ShardCache
import TestSupport
import Testing

@Suite struct SampleListingTests {
  /// Uneven shards, some of them damaged, empty or no tar at all, and the keys they hold.
  static func unevenShards() -> (shards: [String: TestShard], keys: [[String]]) {
    let counts = [3, 1, 0, 5, 2, 0, 4, 1, 7]
    var shards: [String: TestShard] = [:]
    var keys: [[String]] = []
    for (number, count) in counts.enumerated() {
      shards["train/a-\(number).tar"] = .samples(count, shard: number)
      keys.append((0..<count).map { TestShard.key(shard: number, number: $0) })
    }
    // A broken header after four whole members: the second sample may lack a field.
    var damaged = TestShard.samples(3, shard: 9)
    damaged.damage(at: 4 * 1024 + 10)
    shards["train/a-9.tar"] = damaged
    keys.append([TestShard.key(shard: 9, number: 0)])
    shards["train/b-0.tar"] = TestShard()
    keys.append([])
    shards["train/b-1.tar"] = .samples(2, shard: 11)
    keys.append([TestShard.key(shard: 11, number: 0), TestShard.key(shard: 11, number: 1)])
    return (shards, keys)
  }

  @Test("ranks hold what dealing shard c to rank c mod W gives, each sample once", arguments: 1...5)
  func dealing(worldSize: Int) throws {
    let (shards, keys) = Self.unevenShards()
    let test = try TestTree(shards, .init(worldSize: worldSize))
    #expect(try test.names("train") == (0..<worldSize).map { String($0) })
    var all: [String] = []
    for rank in 0..<worldSize {
      let wanted = keys.indices.filter { $0 % worldSize == rank }.flatMap { keys[$0] }
      #expect(try test.keys("train/\(rank)") == wanted)
      #expect(try test.attribute("user.wds.samples", of: "train/\(rank)") == String(wanted.count))
      all += wanted
    }
    #expect(all.sorted() == keys.joined().sorted())
  }

  @Test func ranksBeyondTheShardsAreEmpty() throws {
    let test = try TestTree(["train/a.tar": .samples(2, shard: 0)], .init(worldSize: 3))
    #expect(try test.names("train/0") == ["00000000", "00000001"])
    #expect(try test.names("train/2") == [])
    #expect(throws: TreeError.self) { try test.find("train/2/00000000") }
    #expect(try test.attribute("user.wds.samples", of: "train/2") == "0")
  }

  @Test func aListingGoesOnFromEveryOffset() throws {
    let (shards, _) = Self.unevenShards()
    let test = try TestTree(shards, .init(worldSize: 2))
    for path in ["", "train", "train/0", "train/1", "train/0/00000003", ".shards", ".shards/train"]
    {
      let inode = try test.find(path).inode
      let whole = try test.list(inode)
      #expect(whole.map(\.nextOffset) == whole.indices.map { UInt64($0) + 1 })
      #expect(try test.list(inode, limit: 1) == whole)
      #expect(try test.list(inode, limit: 3) == whole)
      for start in 0...whole.count {
        #expect(
          try test.list(inode, from: UInt64(start)) == Array(whole[start...]),
          "\(path) \(start)"
        )
      }
      #expect(try test.list(inode, from: .max - 1).isEmpty)
    }
  }

  @Test("whatever is listed is found under its name, with the same inode and attributes")
  func listingEqualsLookup() throws {
    let (shards, _) = Self.unevenShards()
    let file = ControlFiles.File(name: "stats.json") { Array("{}".utf8) }
    let test = try TestTree(shards, .init(worldSize: 2, files: [file]))
    var folders = ["", ".wdsfs", ".shards", ".shards/train/a-3.tar.d"]
    var seen: Set<UInt64> = []
    var count = 0
    while let folder = folders.popLast() {
      let own = try test.find(folder)
      #expect(own.isDirectory)
      let entries = try test.list(own.inode)
      #expect(entries.prefix(2).map(\.text) == [".", ".."])
      #expect(entries[0].attributes == own)
      let parent = folder.split(separator: "/").dropLast().joined(separator: "/")
      #expect(try entries[1].attributes.inode == test.find(parent).inode)
      for entry in entries.dropFirst(2) {
        let path = folder.isEmpty ? entry.text : "\(folder)/\(entry.text)"
        let found = try test.find(path)
        if entry.isLookedUp {
          #expect(found == entry.attributes, "\(path)")
          #expect(
            try test.answer { () throws(Obstacle) in
              try test.tree.attributes(of: found.inode)
            } == found
          )
          #expect(seen.insert(found.inode).inserted, "\(path)")
          #expect(test.tree.path(of: found.inode) == path)
        }
        #expect(found.isDirectory == entry.attributes.isDirectory)
        if found.isDirectory { folders.append(path) }
        count += 1
      }
    }
    #expect(count > 100)
  }

  @Test("a listing hands out what is known and waits only where it has nothing to show")
  func streaming() throws {
    let test = try TestTree([
      "train/a.tar": .samples(3, shard: 0), "train/b.tar": .samples(2, shard: 1),
    ])
    test.store.hold(["train/b.tar"])
    let rank = try test.find("train/0").inode
    let first = try test.answer { () throws(Obstacle) in try test.listOnce(rank, from: 0) }
    #expect(first.map(\.text) == [".", "..", "00000000", "00000001", "00000002"])
    do throws(Obstacle) {
      _ = try test.listOnce(rank, from: 5)
      Issue.record("shard b cannot be known")
    } catch {
      guard case .pending(.sample(number: 0, shard: 1)) = error else { throw error }
    }
    test.store.release()
    #expect(try test.list(rank, from: 5).map(\.text) == ["00000003", "00000004"])
  }

  @Test func aShardThatCannotBeReadFailsInItsPlace() throws {
    let test = try TestTree([
      "train/a.tar": .samples(2, shard: 0), "train/b.tar": .samples(2, shard: 1),
      "train/c.tar": .samples(2, shard: 2),
    ])
    test.store.fail("train/b.tar", with: .refused(what: "b", code: "AccessDenied", detail: ""))
    let rank = try test.find("train/0").inode
    let first = try test.answer { () throws(Obstacle) in try test.listOnce(rank, from: 0) }
    #expect(first.count == 4)
    for _ in 0..<2 {
      let error = #expect(throws: TreeError.self) { try test.list(rank, from: 4) }
      guard case .cache(_, .fetch(let shard, _, .refused)) = error else {
        throw TestFailure("\(error as Any)")
      }
      #expect(shard == ObjectKey("train/b.tar"))
    }
    #expect(throws: TreeError.self) { try test.find("train/0/00000002") }
    #expect(try test.text("train/0/00000001/cls") == "1")
    // The failure was the store's, and passes with it.
    test.store.fail("train/b.tar", with: nil)
    #expect(try test.names("train/0").count == 6)
  }

  @Test func skipUnreadableLeavesTheShardOutAndSaysSoOnce() throws {
    var options = TestTree.Options()
    options.settings.skipsUnreadable = true
    let test = try TestTree(
      [
        "train/a.tar": .samples(2, shard: 0), "train/b.tar": .samples(2, shard: 1),
        "train/c.tar": .samples(2, shard: 2), "train/d.tar": .samples(1, shard: 3),
      ],
      options
    )
    test.store.fail("train/b.tar", with: .refused(what: "b", code: "AccessDenied", detail: ""))
    test.store.fail(
      "train/c.tar",
      with: .objectChanged(key: ObjectKey("c"), listed: "1", found: "2")
    )
    #expect(try test.keys("train/0") == ["s0n0", "s0n1", "s3n0"])
    #expect(try test.attribute("user.wds.samples", of: "train/0") == "3")
    #expect(try test.names("train/0").count == 3)
    #expect(test.log.shards(of: "shard.skipped") == ["train/b.tar", "train/c.tar"])
  }

  @Test func strictFailsInTheDamagedShardsPlace() throws {
    var damaged = TestShard.samples(3, shard: 1)
    damaged.damage(at: 4 * 1024 + 10)
    let test = try TestTree(
      ["train/a.tar": .samples(1, shard: 0), "train/b.tar": damaged],
      .init(isStrict: true)
    )
    #expect(try test.text("train/0/00000000/cls") == "0")
    let rank = try test.find("train/0").inode
    let error = #expect(throws: TreeError.self) { try test.list(rank, from: 3) }
    guard case .cache(_, .shardBad(_, let errorClass, _)) = error else {
      throw TestFailure("\(error as Any)")
    }
    #expect(errorClass == "bad-checksum")
  }

  @Test func aChangedShardIsStaleForTheLifeOfTheMount() throws {
    let test = try TestTree(["train/a.tar": .samples(2, shard: 0)])
    test.store.fail(
      "train/a.tar",
      with: .objectChanged(key: ObjectKey("a"), listed: "1", found: "2")
    )
    for _ in 0..<2 {
      let error = #expect(throws: TreeError.self) { try test.find("train/0/00000000") }
      guard case .cache(_, .shardChanged) = error else { throw TestFailure("\(error as Any)") }
      test.store.fail("train/a.tar", with: nil)
    }
  }

  // MARK: What is fetched

  @Test(.timeLimit(.minutes(10)))
  func aFarIndexHasTheShardsBeforeItCountedSideBySide() throws {
    let keys = (0..<20).map { "train/\(100 + $0).tar" }
    let shards = keys.enumerated().map { ($0.element, TestShard.samples(4, shard: $0.offset)) }
    let test = try TestTree(Dictionary(uniqueKeysWithValues: shards))
    _ = try test.find("train/0/00000004")
    #expect(test.store.fetchedKeys == Set(keys[..<2]))
    test.store.hold(Array(keys[2...]))
    let rank = try test.find("train/0").inode
    let obstacle = #expect(throws: Obstacle.self) {
      try Array("00000050".utf8).withUnsafeBytes { _ = try test.tree.lookUp($0, in: rank) }
    }
    guard case .pending(.sample(number: .max, shard: 2)) = obstacle else {
      throw TestFailure("\(obstacle as Any)")
    }
    test.store.waitForHeld(8)
    #expect(test.store.fetchedKeys == Set(keys[..<10]))
    test.store.release()
    #expect(try test.attribute("user.wds.key", of: "train/0/00000050") == "s12n2")
  }

  @Test(.timeLimit(.minutes(10))) func aListingHasTheNextShardsCountedSideBySide() throws {
    let keys = (0..<20).map { "train/\(100 + $0).tar" }
    let shards = keys.enumerated().map { ($0.element, TestShard.samples(4, shard: $0.offset)) }
    let test = try TestTree(Dictionary(uniqueKeysWithValues: shards))
    test.store.hold(keys)
    let rank = try test.find("train/0").inode
    #expect(throws: Obstacle.self) { _ = try test.listOnce(rank, from: 2) }
    test.store.waitForHeld(8)
    #expect(test.store.fetchedKeys == Set(keys[..<8]))
    test.store.release()
    #expect(try test.list(rank, from: 2).count == 80)
  }

  @Test func aNearIndexCountsNoShardThatItDoesNotNeed() throws {
    let keys = (0..<5).map { "train/\($0).tar" }
    let shards = keys.enumerated().map { ($0.element, TestShard.samples(4, shard: $0.offset)) }
    let test = try TestTree(Dictionary(uniqueKeysWithValues: shards), .init(worldSize: 2))
    #expect(try test.text("train/1/00000002/cls") == "2")
    #expect(test.store.fetchedKeys == ["train/1.tar"])
  }

  @Test("a second mount lists and walks without a fetch", .timeLimit(.minutes(10)))
  func indexed() throws {
    let shards = Dictionary(
      uniqueKeysWithValues: (0..<5).map { ("train/\($0).tar", TestShard.samples(3, shard: $0)) }
    )
    let place = try TemporaryDirectory()
    let cache = try CacheDirectory(path: place.path)
    let first = try TestTree(shards, .init(cacheDirectory: cache))
    #expect(try first.names("train/0").count == 15)
    // Indexes are kept by a thread of the cache, in its own time.
    while try entryCount("\(place.path)/wdsfs-1/indexes") < 5 { sched_yield() }
    let second = try TestTree(
      [:],
      .init(worldSize: 2, cacheDirectory: cache, directory: first.directory)
    )
    for rank in ["train/0", "train/1"] {
      for name in try second.names(rank) {
        #expect(try second.names("\(rank)/\(name)").count == 2)
        #expect(try second.find("\(rank)/\(name)/cls").sizeBytes == 1)
      }
    }
    #expect(try second.attribute("user.wds.samples", of: "train/0") == "9")
    #expect(second.store.fetchCount == 0)
    #expect(try second.text("train/1/00000000/cls") == "0")
    #expect(second.store.fetchCount == 1)
  }

  /// Finished files of a folder; one that is being written has a name with a dot in front.
  private func entryCount(_ path: String) throws -> Int {
    guard let folder = opendir(path) else { throw TestFailure(path) }
    defer { closedir(folder) }
    var count = 0
    while let entry = readdir(folder) {
      if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
    }
    return count
  }
}
