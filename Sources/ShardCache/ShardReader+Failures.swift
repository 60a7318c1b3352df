import Logging
import Remote
import Synchronization

extension ShardReader {
  /// Says a store's failure in the cache's terms, and remembers the ones that last.
  func restate(_ error: StoreError, ofShard shard: Int, run: Range<Int32>) -> CacheError {
    let object = shards[shard]
    switch error {
    case .cancelled where fetches.withLock({ $0.isClosed }):
      return .closed
    case .objectChanged(_, let listed, let found):
      let failure = CacheError.shardChanged(
        shard: object.key,
        detail: "listed with \(listed), now \(found)"
      )
      fail(shard: shard, for: failure, event: "shard.changed")
      return failure
    default:
      let size = Int64(ChunkID.sizeBytes)
      let start = Int64(run.lowerBound) * size
      let end = max(start, min(object.sizeBytes, Int64(run.upperBound) * size))
      return .fetch(shard: object.key, range: start..<end, error)
    }
  }

  /// Makes a failure last for the life of the mount and drops what is held of the shard.
  func fail(shard: Int, for failure: CacheError, event: String) {
    let isNew = records.withLock { records in
      guard records.failures[shard] == nil else { return false }
      records.failures[shard] = failure
      return true
    }
    guard isNew else { return }
    fetches.withLock { fetches in
      fetches.changedShards.insert(Int32(shard))
      fetches.plan.drop(shard: Int32(shard), plane: .stored)
      fetches.plan.drop(shard: Int32(shard), plane: .inflated)
    }
    logger.warning(
      "\(failure)",
      metadata: ["event": "\(event)", "shard": "\(shards[shard].key)"]
    )
    roomWasMade()
  }
}
