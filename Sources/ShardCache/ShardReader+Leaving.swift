import Remote
import Synchronization

/// Readers that are killed or interrupted while they wait.
extension ShardReader {
  /// Forgets someone who no longer waits for bytes of a shard; a fetch that was for him alone ends.
  ///
  /// What is fetched ahead goes on, since others are expected. He may still be told something.
  package func leave(bytesOfShard shard: Int, _ waiter: any CacheWaiter) {
    let tickets = fetches.withLock { fetches in
      fetches.plan.leave(waiter).compactMap { number, chunk -> (any FetchTicket)? in
        guard let open = fetches.open[number], !open.isAhead, fetches.deserted.insert(chunk) else {
          return nil
        }
        fetches.open[number]?.isDeserted = true
        return open.ticket
      }
    }
    for ticket in tickets { ticket.cancel() }
    leaveWholeLoad(ofShard: shard, waiter)
  }

  /// Forgets someone who no longer waits for a shard's index.
  package func leave(indexOfShard shard: Int, _ waiter: any CacheWaiter) {
    let build = records.withLock { $0.shards[shard].build }
    build?.leave(waiter)
  }

  /// Ends the load of a shard if nobody else waits for it; one that was begun again goes on.
  func leaveWholeLoad(ofShard shard: Int, _ waiter: any CacheWaiter) {
    let load = wholeLoads.withLock { loads in
      loads.desertedShards.contains(shard) ? nil : loads.loads[shard]
    }
    guard let load, load.leave(waiter) else { return }
    wholeLoads.withLock { _ = $0.desertedShards.insert(shard) }
  }

  /// Whether a fetch was ended because nobody waited for it.
  func isDeserted(_ number: FetchPlan.FetchNumber) -> Bool {
    fetches.withLock { $0.open[number]?.isDeserted == true }
  }
}

/// The chunks whose fetch was ended because nobody waited for it any more.
///
/// Who comes back for one is a reader that a signal interrupts now and then, and would get nowhere if
/// each signal began the fetch anew: so each is ended once.
struct DesertedChunks {
  /// A bound: with more than these in a row, some are ended twice.
  private static let maxCount = 256

  private var chunks: Set<ChunkID> = []

  /// Whether this is the first time.
  mutating func insert(_ chunk: ChunkID) -> Bool {
    if chunks.count == Self.maxCount { chunks = [] }
    return chunks.insert(chunk).inserted
  }

  /// It has come.
  mutating func remove(_ chunk: ChunkID) { chunks.remove(chunk) }
}
