import Glibc
import Logging
import Remote
import ShardCache
import Synchronization
import TarIndex
import TestSupport
import Testing

/// A dataset in a directory of its own, and caches over it.
final class CacheBench {
  let folder: TemporaryDirectory
  let files: [String: [UInt8]]
  private let acceptsRanges: Bool
  private var readers: [ShardReader] = []
  private var stores: [any ObjectStore] = []

  /// - Parameters:
  ///   - files: The shards, by name.
  ///   - acceptsRanges: Whether a part of one can be asked for.
  /// - Throws: Where the files cannot be written.
  init(_ files: [String: [UInt8]], acceptsRanges: Bool = true) throws {
    folder = try TemporaryDirectory()
    self.files = files
    self.acceptsRanges = acceptsRanges
    try folder.makeDirectory("data")
    for (name, bytes) in files { try folder.write(bytes, to: "data/\(name)") }
  }

  deinit {
    for reader in readers { reader.shutDown() }
    for store in stores { store.shutDown() }
  }

  var cachePath: String { "\(folder.path)/cache" }

  func store(
    maxPieceBytes: Int? = nil,
    fault: @escaping @Sendable (Int, RangeRequest) -> FaultyStore.Fault = { _, _ in .none }
  ) throws -> FaultyStore {
    let inner = try DirectoryStore(path: "\(folder.path)/data")
    let store = FaultyStore(inner, maxPieceBytes: maxPieceBytes, fault: fault)
    stores.append(store)
    return store
  }

  func reader(
    over store: FaultyStore,
    _ settings: CacheSettings = CacheSettings(place: .memory, budgetBytes: 64 << 20),
    keepsIndexes: Bool = false,
    shards: [ObjectInfo]? = nil,
    published: PublishedIndex? = nil,
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) throws -> ShardReader {
    let isOnDisk = settings.place == .disk || keepsIndexes
    let reader = ShardReader(
      store: store,
      shards: try shards ?? listing(store),
      settings: settings,
      directory: isOnDisk ? try CacheDirectory(path: cachePath) : nil,
      published: published,
      logger: logger
    )
    readers.append(reader)
    return reader
  }

  /// The shards by name.
  func listing(_ store: FaultyStore) throws -> [ObjectInfo] {
    try store.objects().sorted { $0.key < $1.key }.map { object in
      ObjectInfo(
        key: object.key,
        sizeBytes: object.sizeBytes,
        eTag: object.eTag,
        modifiedSeconds: object.modifiedSeconds,
        acceptsRanges: acceptsRanges
      )
    }
  }

  /// Ends a cache before the test does, so that another can be made on its directory.
  func end(_ reader: ShardReader) {
    reader.shutDown()
    readers.removeAll { $0 === reader }
  }
}

/// What a test expects, but did not get in time.
struct NoAnswer: Error {}

extension ShardReader {
  /// Reads a range, waiting as often as it takes.
  func read(
    _ range: Range<Int64>,
    ofShard shard: Int = 0,
    plane: BytePlane = .stored
  ) throws -> [UInt8] {
    for _ in 0..<10_000 {
      if let bytes = bytesAtHand(range, ofShard: shard, plane: plane) { return bytes }
      let waiter = TestWaiter()
      wait(forBytes: range, ofShard: shard, plane: plane, waiter)
      guard let answer = waiter.answer() else { throw NoAnswer() }
      if let failure = answer { throw failure }
    }
    throw NoAnswer()
  }

  func bytesAtHand(
    _ range: Range<Int64>,
    ofShard shard: Int = 0,
    plane: BytePlane = .stored
  ) -> [UInt8]? {
    withBytes(range, ofShard: shard, plane: plane) { Array($0) + Array($1) }
  }

  /// The index up to a sample; `Int.max` for all of it.
  func index(upTo sample: Int, ofShard shard: Int = 0) throws -> ShardIndex {
    for _ in 0..<10_000 {
      if let index = index(ofShard: shard), index.isComplete || sample < index.sampleCount {
        return index
      }
      let waiter = TestWaiter()
      wait(forSample: sample, ofShard: shard, waiter)
      guard let answer = waiter.answer() else { throw NoAnswer() }
      if let failure = answer { throw failure }
    }
    throw NoAnswer()
  }
}

/// Runs a body on so many threads at once, and waits for all.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let done = DoneCount()
  for number in 0..<count {
    WorkerThread.start(name: "test-\(number)") {
      body(number)
      done.add()
    }
  }
  while done.value < count { usleep(1_000) }
}

private final class DoneCount: Sendable {
  private let count = Mutex(0)

  func add() { count.withLock { $0 += 1 } }
  var value: Int { count.withLock { $0 } }
}
