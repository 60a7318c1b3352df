import Glibc
package import Logging
package import Remote
import Synchronization
import TarIndex

/// Answers byte ranges and indexes of shards: from memory, from disk, or by fetching what is
/// missing.
///
/// Nothing here blocks. A question that cannot be answered yet is asked again when a `CacheWaiter`
/// is told to, on the thread that has the bytes. Callers that miss the same chunk share one GET.
package final class ShardReader: Sendable {
  /// Everything that is decided under one lock.
  struct Fetches {
    var plan: FetchPlan
    var readAhead = ReadAhead()

    /// The fetches under way; without a ticket while one is being made, and for disk loads.
    var open: [FetchPlan.FetchNumber: (any FetchTicket)?] = [:]
    var nextNumber = 0
    var aheadCount = 0
    var roomWaiters: [any CacheWaiter] = []
    var isClosed = false
    var statistics = CacheStatistics()
  }

  /// What is known of each shard.
  struct Records {
    var shards: [Record]

    /// Failures that last for the life of the mount.
    var failures: [Int: CacheError] = [:]
  }

  struct Record {
    var index: ShardIndex?
    var build: IndexBuild?
    var isInflated = false
  }

  /// What `withBytes` can show at once: no such range lies in more than two chunks.
  package static let maxReadBytes = ChunkID.sizeBytes

  package let shards: [ObjectInfo]
  package let settings: CacheSettings
  let store: any ObjectStore
  let disk: ChunkStore?
  let directory: CacheDirectory?
  let memory: ChunkMemory
  let workers = WorkerPool(name: "cache-io", threadCount: 2)
  let inflaters = WorkerPool(name: "inflate", threadCount: 2)
  let fetches: Mutex<Fetches>
  let records: Mutex<Records>
  let wholeLoads = Mutex<[Int: WholeShardLoad]>([:])
  let logger: Logger

  /// Makes a cache over the shards of a store.
  ///
  /// - Parameters:
  ///   - store: Where the shards lie.
  ///   - shards: As listed at mount; a shard's number is its place here.
  ///   - settings: Budget and limits.
  ///   - directory: Keeps indexes, and chunks where the settings place them on disk; nil keeps
  ///     nothing.
  ///   - logger: For what no caller is told.
  package init(
    store: any ObjectStore,
    shards: [ObjectInfo],
    settings: CacheSettings,
    directory: CacheDirectory?,
    logger: Logger
  ) {
    self.store = store
    self.shards = shards
    self.settings = settings
    self.directory = directory
    self.logger = logger
    self.memory = ChunkMemory(maxFreeCount: settings.place == .memory ? 8 : 32)
    self.fetches = Mutex(Fetches(plan: FetchPlan(maxSlotCount: settings.maxSlotCount)))
    self.records = Mutex(Records(shards: Array(repeating: Record(), count: shards.count)))
    if settings.place == .disk, let directory {
      let disk = ChunkStore(directory: directory, maxBytes: settings.budgetBytes, logger: logger)
      self.disk = disk
      workers.run(isUrgent: false) { disk.scan() }
    } else {
      self.disk = nil
    }
  }

  /// Fails every waiter, drops what is queued, and ends the cache's threads.
  package func shutDown() {
    let (tickets, waiters) = fetches.withLock { fetches in
      fetches.isClosed = true
      fetches.readAhead = ReadAhead()
      defer {
        fetches.roomWaiters = []
      }
      return (fetches.open.values.compactMap(\.self), fetches.roomWaiters)
    }
    for ticket in tickets { ticket.cancel() }
    for waiter in waiters { waiter.cacheAnswered(.closed) }
    workers.close()
    inflaters.close()
  }

  package var statistics: CacheStatistics {
    var statistics = fetches.withLock { fetches in
      var statistics = fetches.statistics
      statistics.evictions = fetches.plan.evictionCount
      return statistics
    }
    statistics.memoryBytes = Int64(memory.allocatedCount) * Int64(ChunkID.sizeBytes)
    statistics.diskBytes = disk?.usedBytes ?? 0
    statistics.corruptChunks = disk?.corruptCount ?? 0
    return statistics
  }

  // MARK: Reading

  /// Which bytes of the shard the offsets in its index count in.
  func plane(ofShard shard: Int) -> BytePlane {
    records.withLock { $0.shards[shard].isInflated ? .inflated : .stored }
  }

  /// The size of a plane in bytes; nil for the inflated one while it is not known.
  func planeBytes(_ plane: BytePlane, ofShard shard: Int) -> Int64? {
    switch plane {
    case .stored: shards[shard].sizeBytes
    case .inflated: records.withLock { $0.shards[shard].index?.objectBytes }
    }
  }

  /// Hands out a part of a shard where all of it is in memory, and nothing otherwise.
  ///
  /// The bytes are the cache's own and stay put during the body. No allocation.
  ///
  /// - Parameters:
  ///   - range: Half-open, within the plane, of at most two chunks.
  ///   - shard: Its number.
  ///   - plane: Which bytes of it.
  ///   - body: Gets one or two pieces, in order.
  /// - Returns: What the body returns; nil where a byte is missing.
  package func withBytes<Value>(
    _ range: Range<Int64>,
    ofShard shard: Int,
    plane: BytePlane,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Value
  ) -> Value? {
    let numbers = ChunkID.numbers(holding: range)
    guard numbers.count <= 2, !numbers.isEmpty else { return nil }
    let lease = fetches.withLock { fetches -> Lease? in
      var lease = Lease()
      for number in numbers {
        let chunk = ChunkID(shard: Int32(shard), plane: plane, number: number)
        let end = Int(min(range.upperBound - chunk.startOffset, Int64(ChunkID.sizeBytes)))
        guard case .ready = fetches.plan.finding(of: chunk, filledTo: end) else { return nil }
      }
      for number in numbers {
        let chunk = ChunkID(shard: Int32(shard), plane: plane, number: number)
        guard let slot = fetches.plan.slot(of: chunk), let memory = fetches.plan.lease(slot) else {
          return nil
        }
        let start = Int(max(0, range.lowerBound - chunk.startOffset))
        let end = Int(min(range.upperBound - chunk.startOffset, Int64(ChunkID.sizeBytes)))
        lease.add(slot: slot, start: memory + start, count: end - start)
      }
      fetches.statistics.hits += 1
      fetches.statistics.bytesServed += Int64(range.count)
      return lease
    }
    guard let lease else { return nil }
    defer {
      release(slot: lease.firstSlot)
      if lease.secondSlot >= 0 { release(slot: lease.secondSlot) }
    }
    return body(lease.first, lease.second)
  }

  /// Asks for a part of a shard and tells the waiter when to ask again.
  ///
  /// - Parameters:
  ///   - range: As for `withBytes`, and every missing chunk of it is fetched at once.
  ///   - shard: Its number.
  ///   - plane: Which bytes of it.
  ///   - waiter: Told at once where nothing is missing any more.
  package func wait(
    forBytes range: Range<Int64>,
    ofShard shard: Int,
    plane: BytePlane,
    _ waiter: any CacheWaiter
  ) {
    if let failure = records.withLock({ $0.failures[shard] }) {
      return waiter.cacheAnswered(failure)
    }
    if plane == .inflated || !shards[shard].acceptsRanges {
      return waitForWhole(range, ofShard: shard, plane: plane, waiter)
    }
    obtain(range, ofShard: shard, isAhead: false, waiter)
  }

  func release(slot: Int) {
    let (freed, waiters) = fetches.withLock { fetches in
      fetches.plan.release(slot)
      return (Blocks(fetches.plan.reapIfOrphan(slot)), fetches.takeRoomWaiters())
    }
    freed.give(to: memory)
    for waiter in waiters { waiter.cacheAnswered(nil) }
  }
}

/// The one or two chunks that a read holds.
///
/// Proof of `@unchecked Sendable`: the bytes are only read, and stay while the lease is held.
private struct Lease: @unchecked Sendable {
  var firstSlot = -1
  var secondSlot = -1
  var first = UnsafeRawBufferPointer(start: nil, count: 0)
  var second = UnsafeRawBufferPointer(start: nil, count: 0)

  mutating func add(slot: Int, start: UnsafeMutableRawPointer, count: Int) {
    let piece = UnsafeRawBufferPointer(start: start, count: count)
    if firstSlot < 0 {
      firstSlot = slot
      first = piece
    } else {
      secondSlot = slot
      second = piece
    }
  }
}
