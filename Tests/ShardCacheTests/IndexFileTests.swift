import Glibc
import TarIndex
import TestSupport
import Testing

@testable import ShardCache

@Suite struct IndexFileTests {
  private let folder: TemporaryDirectory
  private let directory: CacheDirectory
  private let identity = ShardIdentity(high: 0x1234, low: 0x5678)

  init() throws {
    folder = try TemporaryDirectory()
    directory = try CacheDirectory(path: "\(folder.path)/cache")
  }

  private var file: IndexFile { IndexFile(directory: directory, identity: identity) }
  private var path: String { "\(folder.path)/cache/wdsfs-1/indexes/\(identity.fileName).idx" }

  private func index(_ bytes: [UInt8]) -> ShardIndex {
    var scanner = TarScanner(objectBytes: Int64(bytes.count))
    bytes.withUnsafeBytes { scanner.feed($0, at: 0) }
    return scanner.snapshot()
  }

  private func sample() -> ShardIndex {
    index(TestShard.samples([10, 20, 30]))
  }

  private func contents() throws -> [UInt8] {
    let file = open(path, O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(file, &bytes, bytes.count)
    return Array(bytes[..<count])
  }

  private func put(_ bytes: [UInt8]) throws {
    try folder.write(bytes, to: "cache/wdsfs-1/indexes/\(identity.fileName).idx")
  }

  @Test("An index comes back as it went, with the plane it counts in", arguments: [true, false])
  func roundTrip(isInflated: Bool) throws {
    let index = sample()
    #expect(file.load() == nil)
    #expect(file.store(index, isInflated: isInflated))
    let kept = try #require(file.load())
    #expect(kept.isInflated == isInflated)
    #expect(kept.index.isComplete)
    #expect(kept.index.sampleCount == 3)
    let same = index.withSerialized { before in
      kept.index.withSerialized { before.elementsEqual($0) }
    }
    #expect(same)
    var status = stat()
    try #require(stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
  }

  @Test("A file of another shard's name is no index")
  func otherShard() throws {
    #expect(file.store(sample(), isInflated: false))
    let other = IndexFile(directory: directory, identity: ShardIdentity(high: 1, low: 2))
    let target = "\(folder.path)/cache/wdsfs-1/indexes/\(other.identity.fileName).idx"
    try #require(rename(path, target) == 0)
    #expect(other.load() == nil)
  }

  @Test("One bit flipped in any byte is found")
  func flipped() throws {
    #expect(file.store(sample(), isInflated: false))
    let good = try contents()
    for offset in good.indices {
      var bad = good
      bad[offset] ^= 0x04
      try put(bad)
      #expect(file.load() == nil, "byte \(offset)")
    }
    try put(good)
    #expect(file.load() != nil)
  }

  @Test("A file that was cut or has more behind it is found, at every length")
  func cut() throws {
    #expect(file.store(sample(), isInflated: false))
    let good = try contents()
    for length in 0..<good.count {
      try put(Array(good[..<length]))
      #expect(file.load() == nil, "length \(length)")
    }
    try put(good + [0])
    #expect(file.load() == nil)
  }

  @Test("Random bytes behind a right header are no index and do no harm")
  func hostile() throws {
    #expect(file.store(sample(), isInflated: false))
    let good = try contents()
    for seed in 0..<200 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var bad = good
      for _ in 0..<1 + generator.below(20) {
        bad[64 + generator.below(bad.count - 64)] = UInt8.random(in: 0...255, using: &generator)
      }
      guard bad != good else { continue }
      try put(bad)
      #expect(file.load() == nil, "seed \(seed)")
    }
  }

  @Test("A link or a pipe in its place is none, and nothing waits for it")
  func oddFiles() throws {
    #expect(file.store(sample(), isInflated: false))
    try #require(rename(path, "\(folder.path)/moved") == 0)
    symlink("\(folder.path)/moved", path)
    #expect(file.load() == nil)
    unlink(path)
    mkfifo(path, 0o600)
    #expect(file.load() == nil)
  }

  @Test("It is replaced whole, and a mapping of the old one stays good")
  func replaced() throws {
    #expect(file.store(sample(), isInflated: false))
    let old = try #require(file.load())
    #expect(file.store(index(TestShard.samples([1])), isInflated: false))
    #expect(try #require(file.load()).index.sampleCount == 1)
    #expect(old.index.sampleCount == 3)
    #expect(old.index.fieldOrdinals(ofSample: 2).count == 2)
    var names: [String] = []
    forEachName(in: directory.indexes) { names.append($0) }
    #expect(names == ["\(identity.fileName).idx"])
  }

  @Test(
    "Whoever holds an index is not harmed when its file is cut or changed",
    arguments: [3, 4000]
  )
  func changedWhileHeld(sampleCount: Int) throws {
    // A few are copied into memory, thousands to a file without a name.
    let whole = index(TestShard.samples(Array(repeating: 1, count: sampleCount)))
    #expect(file.store(whole, isInflated: false))
    let held = try #require(file.load())
    #expect((held.index.serializedBytes > 20_000) == (sampleCount > 3))
    try put([UInt8](repeating: 0xFF, count: 5000))
    #expect(truncate(path, 0) == 0)
    let same = held.index.withSerialized { bytes in
      whole.withSerialized { bytes.elementsEqual($0) }
    }
    #expect(same)
    #expect(file.load() == nil)
    var names: [String] = []
    forEachName(in: directory.indexes) { names.append($0) }
    #expect(names == ["\(identity.fileName).idx"])
  }

  @Test("A folder in its place gives way")
  func folderInItsPlace() throws {
    #expect(mkdir(path, 0o700) == 0)
    #expect(file.load() == nil)
    #expect(file.store(sample(), isInflated: false))
    #expect(file.load() != nil)
  }

  @Test("Where it cannot be written none is left, and nobody minds")
  func unwritable() throws {
    rmdir("\(folder.path)/cache/wdsfs-1/indexes")
    #expect(!file.store(sample(), isInflated: false))
    #expect(file.load() == nil)
  }
}
