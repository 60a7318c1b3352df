import Logging
import Remote
import ShardCache
import Synchronization
import TarIndex

/// Shards whose samples must be counted before a position can be found, and those that cannot be.
extension MountTree {
  /// Indexes made at once ahead of need: enough to hide a request's way, few enough that readers
  /// keep their share of the connections.
  private static let maxCountedAhead = 8

  /// Has the next shards of a pass counted, side by side, since whoever waits will want them.
  ///
  /// - Parameters:
  ///   - shardCount: So many are wanted; the mount asks for few at a time.
  ///   - position: Where the counting has come to a halt.
  ///   - pass: Of a rank.
  func count(_ shardCount: Int, after position: Int, of pass: Pass) {
    // The first of them is waited for anyhow.
    guard shardCount > 1 else { return }
    let limit = min(shardCount, Self.maxCountedAhead)
    let shards = dataset.splits[pass.split].shards
    for place in pass.uncountedPlaces(from: position, limit: limit) {
      let shard = shards[place]
      if cache.index(ofShard: shard)?.isComplete == true { continue }
      let isNew = shardsBeingCounted.withLock { asked in
        asked.count < Self.maxCountedAhead && asked.insert(shard).inserted
      }
      guard isNew else { continue }
      cache.wait(forSample: Int.max, ofShard: shard, CountingWaiter(self, shard))
    }
  }

  /// Has all that a listing will come to counted, a few shards at a time.
  func countAll(after position: Int, of pass: Pass) {
    count(Int.max, after: position, of: pass)
  }

  /// Leaves a shard out for the life of this mount.
  func skip(_ shard: Int, for failure: CacheError) {
    guard skippedShards.withLock({ $0.insert(shard).inserted }) else { return }
    for (number, split) in dataset.splits.enumerated() {
      guard let place = split.shards.firstIndex(of: shard) else { continue }
      run.skip(place, ofSplit: number)
    }
    logger.error(
      "the shard is left out: \(failure)",
      metadata: ["event": "shard.skipped", "shard": "\(cache.shards[shard].key)"]
    )
  }
}

/// Forgets that a shard is being counted; whoever needs it asks, and learns of a failure, itself.
private final class CountingWaiter: CacheWaiter {
  private let tree: MountTree
  private let shard: Int

  init(_ tree: MountTree, _ shard: Int) {
    self.tree = tree
    self.shard = shard
  }

  func cacheAnswered(_ failure: CacheError?) {
    _ = tree.shardsBeingCounted.withLock { $0.remove(shard) }
  }
}

/// Turns a shard that cannot be indexed into one that is left out.
final class SkippingWaiter: CacheWaiter {
  private let tree: MountTree
  private let shard: Int
  private let waiter: any CacheWaiter

  init(_ tree: MountTree, _ shard: Int, _ waiter: any CacheWaiter) {
    self.tree = tree
    self.shard = shard
    self.waiter = waiter
  }

  func cacheAnswered(_ failure: CacheError?) {
    if case .closed = failure { return waiter.cacheAnswered(failure) }
    if let failure { tree.skip(shard, for: failure) }
    waiter.cacheAnswered(nil)
  }

  func speaks(for other: any CacheWaiter) -> Bool { waiter === other }
}
