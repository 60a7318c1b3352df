import Logging
import Remote
import SampleOrder
import SampleTree
import ShardCache
import Synchronization
import TarIndex
import TestSupport

/// A tree over shards in a directory, asked as libfuse would, and waited for.
final class TestTree {
  let directory: TemporaryDirectory
  let store: CountingStore
  let cache: ShardReader
  let tree: MountTree
  let log: CollectedLog
  let kernel = KernelSpy()
  let ledger = CollectedLedger()

  struct Options {
    var worldSize = 1
    var onlyRank: Int?
    var settings = TreeSettings()
    var isStrict = false
    var cacheDirectory: CacheDirectory?

    /// Where the shards lie already.
    var directory: TemporaryDirectory?
    var files: [ControlFiles.File] = []
    var order = Order()

    /// Where the run stopped; nil begins one.
    var cursor: Cursor?
  }

  /// What the user would have said about the order.
  struct Order {
    var shuffle = OrderParameters.Shuffle.none
    var seed: UInt64 = 0
    var lanes: Int?
    var shuffleWindow = 1
    var partition = OrderParameters.Partition.shards
    var equalize: OrderParameters.Equalize?
  }

  /// - Parameters:
  ///   - shards: By key; each first folder is a split.
  ///   - options: What the user would have said.
  /// - Throws: Where the directory cannot be written or read.
  init(_ shards: [String: TestShard], _ options: Options = Options()) throws {
    directory = try options.directory ?? TemporaryDirectory()
    for (name, shard) in shards { try directory.write(shard.bytes, to: name) }
    store = CountingStore(try DirectoryStore(path: directory.path))
    let address = try RemoteAddress(parsing: directory.path)
    let dataset = try Dataset(listing: store, at: address)
    let log = CollectedLog()
    self.log = log
    let logger = Logger(label: "test") { _ in log }
    var settings = CacheSettings(place: .memory, budgetBytes: 32 << 20)
    settings.isStrict = options.isStrict
    cache = ShardReader(
      store: store,
      shards: dataset.shards,
      settings: settings,
      directory: options.cacheDirectory,
      logger: logger
    )
    let parameters = try OrderParameters(
      shuffle: options.order.shuffle,
      seed: options.order.seed,
      worldSize: options.worldSize,
      lanes: options.order.lanes,
      shuffleWindow: options.order.shuffleWindow,
      partition: options.order.partition,
      equalize: options.order.equalize
    )
    var cursor =
      options.cursor
      ?? Cursor(
        shuffle: parameters.shuffle,
        seed: parameters.seed,
        shuffleWindow: parameters.shuffleWindow,
        equalize: parameters.equalize,
        lanesAsked: options.order.lanes
      )
    for split in dataset.splits where options.cursor == nil {
      cursor.splits[split.name.description] = SplitCursor(
        fingerprint: "of a test",
        partition: parameters.partition,
        present: Leg(parameters, epoch: 0)
      )
    }
    let splits = dataset.splits
    let run = TrainingRun(
      cursor: cursor,
      splitNames: dataset.splits.map(\.name.description)
    ) { [cache] split in
      let shards = splits[split].shards
      guard var shape = try? DatasetShape(shardCount: shards.count) else {
        preconditionFailure("\(shards.count) shards")
      }
      for (place, shard) in shards.enumerated() {
        guard let index = cache.index(ofShard: shard), index.isComplete else { continue }
        try? shape.set(.exactly(index.sampleCount), ofShard: place)
      }
      return shape
    }
    tree = MountTree(
      dataset: MountedDataset(
        splits: dataset.splits.map { MountedDataset.Split(name: $0.name.bytes, shards: $0.shards) },
        worldSize: options.worldSize,
        onlyRank: options.onlyRank
      ),
      cache: cache,
      settings: options.settings,
      controls: ControlFiles(files: options.files),
      run: run,
      record: { [ledger] in ledger.record($0) },
      mountedSeconds: 1_700_000_000,
      logger: logger
    )
    tree.connect(to: kernel)
  }

  deinit {
    cache.shutDown()
    store.shutDown()
    // Late answers still look for the cache, as in a mount.
    _ = Unmanaged.passRetained(cache)
  }

  // MARK: Questions

  /// Asks until there is an answer.
  func answer<Value>(_ question: () throws(Obstacle) -> Value) throws(TreeError) -> Value {
    while true {
      do throws(Obstacle) {
        return try question()
      } catch {
        switch error {
        case .failure(let error): throw error
        case .pending(let want):
          let waiter = WaitingTest()
          tree.wait(for: want, waiter)
          if let failure = waiter.wait() { throw .cache(path: "", failure) }
        }
      }
    }
  }

  func lookUp(_ name: String, in parent: UInt64) throws(TreeError) -> Attributes {
    try lookUp(Array(name.utf8), in: parent)
  }

  func lookUp(_ name: [UInt8], in parent: UInt64) throws(TreeError) -> Attributes {
    try answer { () throws(Obstacle) in
      let result = name.withUnsafeBytes { bytes in
        Result { () throws(Obstacle) in try tree.lookUp(bytes, in: parent) }
      }
      return try result.get()
    }
  }

  /// Follows a path from the root.
  func find(_ path: String) throws(TreeError) -> Attributes {
    var found = try answer { () throws(Obstacle) in
      try tree.attributes(of: Node.root.inode)
    }
    for name in path.split(separator: "/") {
      found = try lookUp(String(name), in: found.inode)
    }
    return found
  }

  struct Entry: Equatable {
    var name: [UInt8]
    var attributes: Attributes
    var isLookedUp: Bool
    var nextOffset: UInt64

    var text: String { String(decoding: name, as: UTF8.self) }
  }

  /// One reply to a listing, of at most so many entries.
  func listOnce(
    _ inode: UInt64,
    from offset: UInt64,
    limit: Int = .max
  ) throws(Obstacle) -> [Entry] {
    var entries: [Entry] = []
    try tree.list(inode, from: offset) { entry in
      guard entries.count < limit else { return false }
      entries.append(
        Entry(
          name: Array(entry.name),
          attributes: entry.attributes,
          isLookedUp: entry.isLookedUp,
          nextOffset: entry.nextOffset
        )
      )
      return true
    }
    return entries
  }

  /// A whole listing from an offset, in replies of at most so many entries.
  func list(
    _ inode: UInt64,
    from offset: UInt64 = 0,
    limit: Int = .max
  ) throws(TreeError) -> [Entry] {
    var entries: [Entry] = []
    var offset = offset
    while true {
      let more = try answer { () throws(Obstacle) in
        try listOnce(inode, from: offset, limit: limit)
      }
      guard let last = more.last else { return entries }
      entries += more
      offset = last.nextOffset
    }
  }

  /// The names in a directory, without `.` and `..`.
  func names(_ path: String) throws(TreeError) -> [String] {
    try list(find(path).inode).dropFirst(2).map(\.text)
  }

  func read(
    _ inode: UInt64,
    at offset: Int64 = 0,
    count: Int = 1 << 20
  ) throws(TreeError) -> [UInt8] {
    try answer { () throws(Obstacle) in
      try tree.read(inode, at: offset, count: count) { Array($0) + Array($1) }
    }
  }

  /// A file's content as text.
  func text(_ path: String) throws(TreeError) -> String {
    String(decoding: try read(find(path).inode), as: UTF8.self)
  }

  func attribute(_ name: String, of path: String) throws(TreeError) -> String {
    let inode = try find(path).inode
    return try answer { () throws(Obstacle) in
      let result = Array(name.utf8).withUnsafeBytes { bytes in
        Result { () throws(Obstacle) in try tree.extendedAttribute(bytes, of: inode) }
      }
      return String(decoding: try result.get(), as: UTF8.self)
    }
  }

  /// The keys of a rank's samples, in order.
  func keys(_ path: String) throws(TreeError) -> [String] {
    try list(find(path).inode).dropFirst(2).map { entry throws(TreeError) in
      try attribute("user.wds.key", of: "\(path)/\(entry.text)")
    }
  }
}

/// Lets a test wait for the cache.
final class WaitingTest: CacheWaiter {
  private let failure = Mutex<CacheError?>(nil)
  private let signal = ReadySignal()

  func cacheAnswered(_ failure: CacheError?) {
    self.failure.withLock { $0 = failure }
    signal.signal()
  }

  func wait() -> CacheError? {
    signal.wait()
    return failure.withLock { $0 }
  }
}

/// Counts fetches by key, and refuses or holds up some keys.
final class CountingStore: ObjectStore {
  private struct State {
    var counts: [ObjectKey: Int] = [:]
    var failures: [ObjectKey: StoreError] = [:]
    var held: [(RangeRequest, any RangeReceiver)] = []
    var heldKeys: Set<ObjectKey> = []
  }

  private let store: DirectoryStore
  private let state = Mutex(State())
  private let isHeld = ReadySignal()

  init(_ store: DirectoryStore) {
    self.store = store
  }

  var displayName: String { store.displayName }
  var identity: String { store.identity }
  var statistics: StoreStatistics { store.statistics }

  func list(onPage page: ([ObjectInfo]) throws(StoreError) -> Void) throws(StoreError) {
    try store.list(onPage: page)
  }

  func fetch(_ request: RangeRequest, into receiver: any RangeReceiver) -> any FetchTicket {
    let key = request.object.key
    let (failure, isHeld) = state.withLock { state in
      state.counts[key, default: 0] += 1
      let isHeld = state.heldKeys.contains(key)
      if isHeld { state.held.append((request, receiver)) }
      return (state.failures[key], isHeld)
    }
    if isHeld {
      self.isHeld.signal()
      return NoTicket()
    }
    if let failure {
      WorkerThread.start(name: "failing") { receiver.finish(.failure(failure)) }
      return NoTicket()
    }
    return store.fetch(request, into: receiver)
  }

  func shutDown() {
    release()
    store.shutDown()
  }

  // MARK: For tests

  var fetchCount: Int { state.withLock { $0.counts.values.reduce(0, +) } }

  /// The keys of which anything was fetched.
  var fetchedKeys: Set<String> { state.withLock { Set($0.counts.keys.map(\.description)) } }

  func fail(_ key: String, with failure: StoreError?) {
    state.withLock { $0.failures[ObjectKey(key)] = failure }
  }

  /// Keeps the fetches of some keys back until `release`.
  func hold(_ keys: [String]) {
    state.withLock { $0.heldKeys = Set(keys.map { ObjectKey($0) }) }
  }

  /// Blocks until so many fetches are kept back.
  func waitForHeld(_ count: Int) {
    for _ in 0..<count { isHeld.wait() }
  }

  func release() {
    let held = state.withLock { state in
      state.heldKeys = []
      defer { state.held = [] }
      return state.held
    }
    for (request, receiver) in held { _ = store.fetch(request, into: receiver) }
  }

  private final class NoTicket: FetchTicket {
    func cancel() {}
    func resume() {}
    func raisePriority() {}
  }
}

/// Keeps the log's lines for a test to look at.
final class CollectedLog: LogHandler {
  private let collected = Mutex<[(event: String, shard: String)]>([])

  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }

  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }

  subscript(metadataKey _: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  /// The shards that lines of an event named, in their order.
  func shards(of event: String) -> [String] {
    collected.withLock { $0.filter { $0.event == event }.map(\.shard) }
  }

  func log(event: LogEvent) {
    let metadata = event.metadata ?? [:]
    let line = (
      event: metadata["event"].map { "\($0)" } ?? "",
      shard: metadata["shard"].map { "\($0)" } ?? ""
    )
    collected.withLock { $0.append(line) }
  }
}
