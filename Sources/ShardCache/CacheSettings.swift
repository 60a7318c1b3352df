/// How much the cache may hold and do at once.
package struct CacheSettings: Sendable {
  /// Where the bytes are kept.
  package enum Place: Sendable {
    case memory

    /// Chunks on disk, with a few of them in memory while they are in use.
    case disk
  }

  package var place: Place

  /// What may be kept at the place, in bytes; never exceeded, not even by one shard.
  package var budgetBytes: Int64

  /// Range GETs under way at once for read-ahead.
  package var maxFetchCount: Int

  /// A compressed shard with more bytes than this inside is refused.
  package var maxInflatedBytes: Int64

  /// Whether a damaged shard is an error rather than the samples before the damage.
  package var isStrict: Bool

  package init(
    place: Place,
    budgetBytes: Int64,
    maxFetchCount: Int = 32,
    maxInflatedBytes: Int64 = 64 << 30,
    isStrict: Bool = false
  ) {
    self.place = place
    self.budgetBytes = budgetBytes
    self.maxFetchCount = maxFetchCount
    self.maxInflatedBytes = maxInflatedBytes
    self.isStrict = isStrict
  }

  /// Fetches fewer at once where what is in flight would take more memory than there is.
  package mutating func limitMemory(toBytes bytes: Int64) {
    let chunkCount = Int(clamping: bytes / Int64(ChunkID.sizeBytes))
    while maxFetchCount > 1, maxSlotCount > chunkCount { maxFetchCount -= 1 }
  }

  /// A budget below this cannot hold one request and what it pushes out.
  package static let minBudgetBytes: Int64 = 16 << 20

  /// Chunks that one range GET brings at most.
  ///
  /// With the cache on disk what is in flight is most of what memory holds, and 64 MiB are enough.
  var maxRunLength: Int32 {
    switch place {
    case .memory: Int32(clamping: max(1, min(4, budgetBytes / Int64(ChunkID.sizeBytes) / 8)))
    case .disk: maxFetchCount > 16 ? 2 : 4
    }
  }

  /// What a chunk takes of the budget.
  var chunkCostBytes: Int64 {
    switch place {
    case .memory: Int64(ChunkID.sizeBytes)
    case .disk: FileLedger.diskBytes(ofData: ChunkID.sizeBytes)
    }
  }

  /// Chunks in memory or on their way there.
  var maxSlotCount: Int {
    switch place {
    case .memory: Int(clamping: budgetBytes / Int64(ChunkID.sizeBytes))
    case .disk:
      maxFetchCount * Int(maxRunLength) + Self.idleSlotCount
    }
  }

  /// Besides what is in flight: chunks that were just read or wait to be written.
  private static let idleSlotCount = 32
}

/// Who asked the cache for something that was not there, and is told when to ask again.
package protocol CacheWaiter: AnyObject, Sendable {
  /// Called once, from a thread of the cache or the store, outside every lock; must not block.
  ///
  /// - Parameter failure: Why it will not come; nil where asking again will now succeed or go further.
  func cacheAnswered(_ failure: CacheError?)

  /// Whether it waits in that one's name, and leaves with it.
  func speaks(for waiter: any CacheWaiter) -> Bool
}

extension CacheWaiter {
  package func speaks(for waiter: any CacheWaiter) -> Bool { self === waiter }
}

/// What the cache did since it was made.
package struct CacheStatistics: Hashable, Sendable {
  /// Reads answered from memory at once, and those that had to wait.
  package var hits = 0
  package var waits = 0
  package var bytesServed: Int64 = 0
  package var chunksFetched = 0
  package var chunksLoadedFromDisk = 0
  package var evictions = 0
  package var corruptChunks = 0
  package var diskBytes: Int64 = 0
  package var memoryBytes: Int64 = 0
  package var indexesBuilt = 0
  package var indexesLoaded = 0
  package var damagedShards = 0

  package init() {}
}
