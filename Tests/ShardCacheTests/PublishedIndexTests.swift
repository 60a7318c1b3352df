import Logging
import Remote
import Synchronization
import TarIndex
import TestSupport
import Testing

@testable import ShardCache

private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

@Suite(.timeLimit(.minutes(10))) struct PublishedIndexTests {
  private static let files = (0..<5).reduce(into: [String: [UInt8]]()) { files, number in
    files["\(number).tar"] = TestShard.samples([Int](repeating: 700, count: 10 + number))
  }

  /// A dataset with its index published in packs of about so many bytes.
  private func published(
    _ bench: CacheBench,
    maxPackBytes: Int64 = 1 << 30,
    counts change: (Int, Int) -> Int = { $1 }
  ) throws {
    let store = try bench.store()
    let shards = try bench.listing(store).filter { $0.key.bytes.last == UInt8(ascii: "r") }
    let directory = try CacheDirectory(path: bench.folder.path + "/publisher")
    let run = IndexRun(
      store: store,
      shards: shards,
      directory: directory,
      maxInflatedBytes: 1 << 30
    )
    let found = Mutex<[Int: Int]>([:])
    let isComplete = run.run(Array(shards.indices), jobs: 2) { number, outcome in
      switch outcome {
      case .made(let shard), .known(let shard):
        found.withLock { $0[number] = shard.index.sampleCount }
      case .failed(let failure): Issue.record("\(failure)")
      }
    }
    #expect(isComplete)
    let counts = found.withLock { $0 }.sorted { $0.key < $1.key }
    let writer = PackWriter(
      run,
      shards: shards,
      below: [],
      directory: directory,
      maxPackBytes: maxPackBytes
    )
    let target = try DirectoryStore(path: "\(bench.folder.path)/data")
    defer { target.shutDown() }
    var number = 0
    try writer.write(counts.map { ($0.key, change($0.key, $0.value)) }) {
      (pack) throws(StoreError) in
      try target.put(pack, to: ObjectKey("\(PublishedIndex.folder)\(number).pack"))
      number += 1
    }
  }

  private func split(
    _ bench: CacheBench,
    _ store: FaultyStore
  ) throws -> (shards: [ObjectInfo], packs: [ObjectInfo]) {
    let all = try bench.listing(store)
    return (
      all.filter { $0.key.bytes.last == UInt8(ascii: "r") },
      all.filter { PublishedIndex.isPack($0.key, below: []) }
    )
  }

  private func open(_ bench: CacheBench, _ store: FaultyStore) throws -> PublishedIndex {
    let (shards, packs) = try split(bench, store)
    return try PublishedIndex(packs, in: store, shards: shards, below: [], logger: log)
  }

  @Test("What was published is there for whoever has no index: one GET, and no header")
  func roundTrip() throws {
    let bench = try CacheBench(Self.files)
    try published(bench)
    let store = try bench.store(maxPieceBytes: 1000)
    let index = try open(bench, store)
    #expect(index.shardCount == 5)
    #expect(store.requests.count == 1)
    let (shards, _) = try split(bench, store)
    let reader = try bench.reader(over: store, keepsIndexes: true, shards: shards, published: index)
    for number in 0..<5 {
      #expect(index.sampleCount(ofShard: number) == 10 + number)
      let found = try reader.index(upTo: .max, ofShard: number)
      #expect(found.sampleCount == 10 + number)
      let ordinals = found.fieldOrdinals(ofSample: 9)
      let member = found.member(ordinals.lowerBound)
      let bytes = try reader.read(
        member.dataOffset..<member.dataOffset + member.sizeBytes,
        ofShard: number
      )
      #expect(bytes == Array(testBytes(700)))
    }
    #expect(reader.statistics.indexesLoaded == 5)
    // It lies on the machine from now on.
    let kept = IndexRun(
      store: store,
      shards: shards,
      directory: try CacheDirectory(path: bench.cachePath),
      maxInflatedBytes: 1 << 30
    )
    #expect(eventually { kept.keptIndex(ofShard: 4) != nil })
  }

  @Test("Several packs are one index, and of a shard in two the newer counts")
  func parts() throws {
    let bench = try CacheBench(Self.files)
    try published(bench, maxPackBytes: 1)
    let store = try bench.store()
    #expect(try split(bench, store).packs.count == 5)
    let index = try open(bench, store)
    #expect(index.shardCount == 5)
    for number in 0..<5 {
      #expect(index.index(ofShard: number)?.index.sampleCount == 10 + number)
    }
    // An older pack that claims otherwise is not listened to.
    try published(bench, maxPackBytes: 1 << 30, counts: { $1 + 1 })
    try bench.folder.rename(
      "data/\(PublishedIndex.folder)0.pack",
      to: "data/\(PublishedIndex.folder)old.pack"
    )
    try bench.folder.setModified("data/\(PublishedIndex.folder)old.pack", seconds: 1_000_000)
    let again = try open(bench, try bench.store())
    #expect((1..<5).allSatisfy { again.sampleCount(ofShard: $0) == 10 + $0 })
    // Shard 0 is known by no newer one any more.
    #expect(again.sampleCount(ofShard: 0) == 11)
  }

  @Test("A shard that was replaced since is not known, the others are")
  func replaced() throws {
    let bench = try CacheBench(Self.files)
    try published(bench)
    try bench.folder.write(TestShard.samples([5, 6, 7]), to: "data/2.tar")
    let store = try bench.store()
    let index = try open(bench, store)
    #expect((0..<5).map { index.sampleCount(ofShard: $0) } == [10, 11, nil, 13, 14])
    let directory = try CacheDirectory(path: bench.cachePath)
    let (shards, _) = try split(bench, store)
    let before = store.requests.count
    let run = IndexRun(
      store: store,
      shards: shards,
      directory: directory,
      maxInflatedBytes: 1 << 30,
      published: index
    )
    let made = Mutex<[Int]>([])
    let isComplete = run.run(Array(0..<5), jobs: 2) { number, outcome in
      if case .made = outcome { made.withLock { $0.append(number) } }
    }
    #expect(isComplete)
    #expect(made.withLock { $0 } == [2])
    #expect(Set(store.requests[before...].map(\.key)) == ["2.tar"])
  }

  @Test("A count that is wrong fails its shard, and no other")
  func wrongCount() throws {
    for wrong in [-1, 1] {
      let bench = try CacheBench(Self.files)
      try published(bench, counts: { shard, count in shard == 3 ? count + wrong : count })
      let store = try bench.store()
      let index = try open(bench, store)
      let (shards, _) = try split(bench, store)
      var counts = StatedCounts(shardCount: shards.count)
      for shard in shards.indices {
        guard let count = index.sampleCount(ofShard: shard) else { continue }
        counts.state(count, ofShard: shard, source: "the published index")
      }
      let reader = try bench.reader(over: store, shards: shards, published: index)
      reader.believe(counts)
      #expect(try reader.index(upTo: .max, ofShard: 2).sampleCount == 12)
      do {
        _ = try reader.index(upTo: 12, ofShard: 3)
        Issue.record("a wrong count was believed")
      } catch CacheError.countWrong(let shard, let stated, let found, let source) {
        #expect(shard == ObjectKey("3.tar"))
        #expect(stated == 13 + wrong)
        #expect(found == 13)
        #expect(source == "the published index")
      }
      #expect(reader.lastingFailure(ofShard: 3) != nil)
    }
  }

  @Test("Samples are served from a shard with a right count before all of it is known")
  func rightCountStreams() throws {
    let bench = try CacheBench(["a.tar": TestShard.samples([Int](repeating: 3000, count: 2000))])
    let store = try bench.store()
    var counts = StatedCounts(shardCount: 1)
    counts.state(2000, ofShard: 0, source: "a file")
    let reader = try bench.reader(over: store)
    reader.believe(counts)
    #expect(try !reader.index(upTo: 3).isComplete)
    #expect(try reader.index(upTo: 1999).isComplete)
  }

  @Test("A pack with any byte changed is refused, or says the same; none traps")
  func hostile() throws {
    let bench = try CacheBench([
      "0.tar": TestShard.samples([7, 8]), "1.tar": TestShard.samples([9]),
    ])
    try published(bench)
    let path = "data/\(PublishedIndex.folder)0.pack"
    let store = try bench.store()
    let pack = try #require(try split(bench, store).packs.first)
    let good = try SmallFetch.start(0..<pack.sizeBytes, of: pack, in: store).wait()
    let tableBytes = PublishedPack.headerBytes + 2 * PublishedPack.entryBytes
    for place in 0..<good.count {
      var bytes = good
      bytes[place] ^= UInt8(1 << (place % 8))
      let entries = bytes.withUnsafeBytes { all in
        try? PublishedPack.entries(
          UnsafeRawBufferPointer(rebasing: all[..<tableBytes]),
          packBytes: Int64(all.count)
        )
      }
      #expect((entries == nil) == (place < tableBytes), "byte \(place)")
    }
    var generator = SeededGenerator(seed: 3)
    for count in 0..<300 {
      var bytes = Array(good.prefix(count))
      if !bytes.isEmpty { bytes[generator.below(bytes.count)] = UInt8(generator.below(256)) }
      bytes.withUnsafeBytes { all in
        _ = try? PublishedPack.tableEnd(all, packBytes: Int64(generator.below(1000)))
      }
    }
    // An index within that is damaged is found out when it is wanted, and its shard is read.
    var bytes = good
    for place in tableBytes..<bytes.count where place % 50 == 0 { bytes[place] ^= 0xFF }
    try bench.folder.write(bytes, to: path)
    let spoilt = try bench.store()
    let index = try open(bench, spoilt)
    #expect(index.shardCount == 2)
    #expect(index.index(ofShard: 0) == nil)
    let (shards, _) = try split(bench, spoilt)
    let reader = try bench.reader(over: spoilt, shards: shards, published: index)
    #expect(try reader.index(upTo: .max, ofShard: 0).sampleCount == 2)
    #expect(reader.statistics.indexesBuilt == 1)
  }

  @Test("Numbers that lead out of a pack make it none, though its checksum is right")
  func lies() throws {
    func table(_ range: Range<Int64>, packBytes: Int64 = 1000) -> Bool {
      let entry = PublishedPack.Entry(
        identity: ShardIdentity(high: 1, low: 2),
        range: range,
        sampleCount: 3,
        isInflated: false
      )
      let bytes = PublishedPack.table([entry], packBytes: packBytes)
      return bytes.withUnsafeBytes { all in
        (try? PublishedPack.entries(all, packBytes: packBytes)) != nil
      }
    }
    #expect(table(112..<1000))
    #expect(table(112..<112))
    #expect(!table(112..<1001))
    #expect(!table(111..<1000))
    #expect(!table(112..<113))
    #expect(!table(Int64.max - 1..<Int64.max))
    #expect(!table(112..<112, packBytes: 100))
    // Twice the same shard.
    let entry = PublishedPack.Entry(
      identity: ShardIdentity(high: 1, low: 2),
      range: 200..<200,
      sampleCount: 3,
      isInflated: false
    )
    let twice = PublishedPack.table([entry, entry], packBytes: 200)
    #expect(throws: PackError.self) {
      try twice.withUnsafeBytes { all throws(PackError) in
        try PublishedPack.entries(all, packBytes: 200)
      }
    }
  }

  @Test("A store that does not answer is an error, one that refuses the pack has none")
  func failures() throws {
    let bench = try CacheBench(Self.files)
    try published(bench)
    let down = try bench.store { _, _ in .fail(.unreachable(endpoint: "here", detail: "down")) }
    #expect(throws: StoreError.self) { try open(bench, down) }
    let refusing = try bench.store { _, _ in
      .fail(.refused(what: "GET", code: "AccessDenied", detail: ""))
    }
    #expect(try open(bench, refusing).shardCount == 0)
  }

  @Test("A pack that was put anew meanwhile is no reason to fail: headers are read")
  func republished() throws {
    let bench = try CacheBench(Self.files)
    try published(bench)
    let store = try bench.store { _, request in
      request.range.lowerBound > 0 && request.object.key.bytes.last == UInt8(ascii: "k")
        ? .fail(.objectChanged(key: request.object.key, listed: "a", found: "b")) : .none
    }
    let (shards, packs) = try split(bench, store)
    let index = try PublishedIndex(
      packs,
      in: store,
      shards: shards,
      below: [],
      maxKeptBytes: 0,
      logger: log
    )
    #expect(index.shardCount == 5)
    let reader = try bench.reader(over: store, shards: shards, published: index)
    #expect(try reader.index(upTo: .max, ofShard: 1).sampleCount == 11)
  }

  @Test("Only what lies in its folder and is called a pack is one")
  func names() {
    func isPack(_ key: String) -> Bool {
      PublishedIndex.isPack(ObjectKey(key), below: Array("set/".utf8))
    }
    #expect(isPack("set/.wdsfs/index/0.pack"))
    #expect(!isPack("set/.wdsfs/index/.pack"))
    #expect(!isPack("set/.wdsfs/index/a/0.pack"))
    #expect(!isPack(".wdsfs/index/0.pack"))
    #expect(!isPack("set/.wdsfs/index/0.pack.1"))
    #expect(!isPack("set/x.wdsfs/index/0.pack"))
  }
}
