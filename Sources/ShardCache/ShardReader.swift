import DequeModule
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
    /// Someone who found no room for a chunk of a shard.
    struct RoomWaiter {
      let shard: Int32
      let waiter: any CacheWaiter
    }

    var plan: FetchPlan
    var readAhead = ReadAhead()

    /// The fetches and disk loads under way.
    var open: [FetchPlan.FetchNumber: OpenFetch] = [:]
    var nextNumber = 0
    var aheadCount = 0

    /// Who asks again as soon as a chunk can go.
    var roomWaiters: Deque<RoomWaiter> = []

    /// Who asked for what may lie in a directory that is still being looked through.
    var scanWaiters: [any CacheWaiter] = []
    var isScanned = false
    var waking = Turnstile()
    var pumping = Turnstile()

    /// How many chunks had been caught up with when read-ahead last found no room.
    var starvedAt: Int?

    /// Shards of which nothing may be shown any more.
    var changedShards: Set<Int32> = []
    var deserted = DesertedChunks()
    var isClosed = false
    var statistics = CacheStatistics()
  }

  /// A fetch or disk load under way.
  struct OpenFetch {
    let isAhead: Bool

    /// None while it is being made, and for disk loads.
    var ticket: (any FetchTicket)?

    /// A reader waits for what was begun ahead.
    var isRaised = false

    /// Who waited for it has left, and it is to end.
    var isDeserted = false
  }

  /// What is known of each shard.
  struct Records {
    var shards: [Record]

    /// Failures that last for the life of the mount.
    var failures: [Int: CacheError] = [:]
    var stated = StatedCounts()
    var isClosed = false
  }

  struct Record {
    var index: ShardIndex?
    var build: IndexBuild?
    var isInflated = false
  }

  struct WholeLoads {
    var loads: [Int: WholeShardLoad] = [:]

    /// Those whose last load was ended because nobody waited for it any more.
    var desertedShards: Set<Int> = []
    var isClosed = false
  }

  /// What `withBytes` can show at once: no such range lies in more than two chunks.
  package static let maxReadBytes = ChunkID.sizeBytes

  package let shards: [ObjectInfo]
  package let settings: CacheSettings
  let store: any ObjectStore
  let disk: ChunkStore?
  let directory: CacheDirectory?
  let published: PublishedIndex?
  let identities: [ShardIdentity]
  let workers = WorkerPool(name: "cache-io", threadCount: 2)
  let inflaters = WorkerPool(name: "inflate", threadCount: 2)
  let arena: ChunkArena
  let fetches: Mutex<Fetches>
  let records: Mutex<Records>
  let wholeLoads = Mutex(WholeLoads())
  let logger: Logger

  /// More than any store holds in one object; chunks of one this large can still be numbered.
  static let maxObjectBytes: Int64 = 1 << 50

  /// Makes a cache over the shards of a store.
  ///
  /// - Parameters:
  ///   - store: Where the shards lie.
  ///   - shards: As listed at mount; a shard's number is its place here.
  ///   - settings: Budget and limits.
  ///   - directory: Keeps indexes, and chunks where the settings place them on disk; nil keeps
  ///     nothing.
  ///   - published: The indexes that the bucket holds.
  ///   - logger: For what no caller is told.
  package init(
    store: any ObjectStore,
    shards: [ObjectInfo],
    settings: CacheSettings,
    directory: CacheDirectory?,
    published: PublishedIndex? = nil,
    logger: Logger
  ) {
    self.published = published
    self.store = store
    self.shards = shards
    self.settings = settings
    self.directory = directory
    self.logger = logger
    self.arena = ChunkArena(maxBlockCount: settings.maxSlotCount, workers: workers)
    self.identities = shards.map { object in
      ShardIdentity(storeIdentity: store.identity, object: object)
    }
    self.fetches = Mutex(Fetches(plan: FetchPlan(maxSlotCount: settings.maxSlotCount)))
    var records = Records(shards: Array(repeating: Record(), count: shards.count))
    for (number, object) in shards.enumerated()
    where !(0...Self.maxObjectBytes).contains(object.sizeBytes) {
      let what = "impossible size \(object.sizeBytes)"
      records.failures[number] = .shardBad(shard: object.key, errorClass: what, offset: 0)
    }
    self.records = Mutex(records)
    if settings.place == .disk, let directory {
      disk = ChunkStore(directory: directory, maxBytes: settings.budgetBytes, logger: logger)
    } else {
      disk = nil
    }
    guard let directory else { return }
    workers.run(isUrgent: false) { [self] in
      TemporaryFile.removeLeftovers(in: directory.indexes)
      disk?.scan()
      let waiters = fetches.withLock { fetches in
        defer { fetches.scanWaiters = [] }
        fetches.isScanned = true
        return fetches.scanWaiters
      }
      for waiter in waiters { waiter.cacheAnswered(nil) }
    }
  }

  /// Fails every waiter, drops what is queued, and ends the cache's threads.
  ///
  /// What has come and is not on disk yet is written first, for two seconds at most. Asked twice, the
  /// second does nothing.
  package func shutDown() {
    let (isFirst, tickets, waiters) = fetches.withLock { fetches in
      defer {
        fetches.isClosed = true
        fetches.readAhead = ReadAhead()
        fetches.roomWaiters = []
        fetches.scanWaiters = []
      }
      let waiters =
        fetches.plan.takeWaiters() + fetches.roomWaiters.map(\.waiter)
        + fetches.scanWaiters
      return (!fetches.isClosed, fetches.open.values.compactMap(\.ticket), waiters)
    }
    guard isFirst else { return }
    let builds = records.withLock { records in
      records.isClosed = true
      return records.shards.compactMap(\.build)
    }
    let loads = wholeLoads.withLock { loads in
      defer { loads = WholeLoads(isClosed: true) }
      return Array(loads.loads.values)
    }
    for ticket in tickets { ticket.cancel() }
    for waiter in waiters { waiter.cacheAnswered(.closed) }
    for build in builds { build.fail(.closed) }
    for load in loads { load.cancel() }
    inflaters.close()
    workers.close()
    workers.waitForEnd(maxSeconds: 2)
  }

  package var statistics: CacheStatistics {
    var statistics = fetches.withLock { fetches in
      var statistics = fetches.statistics
      statistics.evictions = fetches.plan.evictionCount
      return statistics
    }
    statistics.memoryBytes = Int64(arena.blockCount) * Int64(ChunkID.sizeBytes)
    guard let disk else { return statistics }
    statistics.diskBytes = disk.usedBytes
    statistics.corruptChunks = disk.corruptCount
    // What leaves memory only is still in the cache.
    statistics.evictions = disk.evictionCount
    return statistics
  }

  /// How long the store has held requests back altogether, since it was asked for fewer.
  package var heldBackNanoseconds: Int { store.statistics.heldBackNanoseconds }

  // MARK: Reading

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
      guard fetches.changedShards.isEmpty || !fetches.changedShards.contains(Int32(shard)) else {
        return nil
      }
      var lease = Lease()
      for number in numbers {
        let chunk = ChunkID(shard: Int32(shard), plane: plane, number: number)
        let part = chunk.part(of: range)
        guard case .ready(let slot) = fetches.plan.finding(of: chunk, holding: part) else {
          return nil
        }
        lease.add(slot: slot, part)
      }
      lease.take(&fetches.plan)
      fetches.statistics.hits += 1
      fetches.statistics.bytesServed += Int64(range.count)
      return lease
    }
    guard let lease else { return nil }
    defer { release(lease) }
    return body(lease.first, lease.second)
  }

  /// Whether all of a part is in memory; reads nothing, and counts as no read.
  package func isInMemory(_ range: Range<Int64>, ofShard shard: Int, plane: BytePlane) -> Bool {
    let numbers = ChunkID.numbers(holding: range)
    return fetches.withLock { fetches in
      numbers.allSatisfy { number in
        let chunk = ChunkID(shard: Int32(shard), plane: plane, number: number)
        let part = chunk.part(of: range)
        guard case .ready = fetches.plan.finding(of: chunk, holding: part) else { return false }
        return true
      }
    }
  }

  private func release(_ lease: Lease) {
    release(lease.firstSlot, lease.secondSlot)
  }

  /// Gives one hold or two back; a slot below 0 is none.
  func release(_ first: Int, _ second: Int = -1) {
    let (hasRoomWaiters, isAheadFree) = fetches.withLock { fetches in
      fetches.plan.release(first)
      if second >= 0 { fetches.plan.release(second) }
      return (!fetches.roomWaiters.isEmpty, fetches.isAheadFree)
    }
    if hasRoomWaiters { roomWasMade() }
    if isAheadFree { pump() }
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
    let (failure, bytes) = records.withLock { records in
      (records.failures[shard], planeBytes(plane, ofShard: shard, records))
    }
    if let failure { return waiter.cacheAnswered(failure) }
    guard let bytes, range.lowerBound >= 0, range.upperBound <= bytes else {
      let key = shards[shard].key
      return waiter.cacheAnswered(
        .shardBad(shard: key, errorClass: "range beyond the shard", offset: range.lowerBound)
      )
    }
    if obtain(range, ofShard: shard, plane: plane, planeBytes: bytes, .read, waiter) { return }
    fetches.withLock { $0.statistics.waits += 1 }
    guard let load = wholeLoad(ofShard: shard, wantsStored: plane == .stored) else {
      return waiter.cacheAnswered(.closed)
    }
    load.wait(forBytes: range.upperBound, of: plane, waiter)
  }

  /// The size of a plane in bytes; nil for the inflated one while it is not known.
  private func planeBytes(_ plane: BytePlane, ofShard shard: Int, _ records: Records) -> Int64? {
    switch plane {
    case .stored: shards[shard].sizeBytes
    case .inflated:
      records.shards[shard].isInflated ? records.shards[shard].index?.objectBytes : nil
    }
  }
}

/// Lets one thread at a time through, and has it come back for those who met it.
struct Turnstile {
  private var isBusy = false
  private var isAsked = false

  /// Whether the caller may go; where not, who is inside goes once more.
  mutating func enter() -> Bool {
    guard !isBusy else {
      isAsked = true
      return false
    }
    isBusy = true
    return true
  }

  /// Whether the caller may leave; where not, there is more to do.
  mutating func leave() -> Bool {
    guard !isAsked else {
      isAsked = false
      return false
    }
    isBusy = false
    return true
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

  private var firstPart = 0..<0
  private var secondPart = 0..<0

  mutating func add(slot: Int, _ part: Range<Int>) {
    if firstSlot < 0 {
      (firstSlot, firstPart) = (slot, part)
    } else {
      (secondSlot, secondPart) = (slot, part)
    }
  }

  /// Takes hold of the chunks, once all of them were found.
  mutating func take(_ plan: inout FetchPlan) {
    first = UnsafeRawBufferPointer(
      start: plan.lease(firstSlot)?.advanced(by: firstPart.lowerBound),
      count: firstPart.count
    )
    guard secondSlot >= 0 else { return }
    second = UnsafeRawBufferPointer(
      start: plan.lease(secondSlot)?.advanced(by: secondPart.lowerBound),
      count: secondPart.count
    )
  }
}
