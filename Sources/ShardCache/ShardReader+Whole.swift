import Synchronization
import TarIndex

/// Shards that are read from front to back into the cache, or not at all.
extension ShardReader {
  /// Asks for a part of a plane that only a whole load can bring back.
  func waitForWhole(
    _ range: Range<Int64>,
    ofShard shard: Int,
    plane: BytePlane,
    _ waiter: any CacheWaiter
  ) {
    if obtainFromDisk(range, ofShard: shard, plane: plane, waiter) { return }
    fetches.withLock { $0.statistics.waits += 1 }
    let needed = plane == .stored ? range.upperBound : Int64.max
    wholeLoad(ofShard: shard).wait(forBytes: needed, waiter)
  }

  /// Reads a shard whole for its index.
  func loadWhole(_ shard: Int, for build: IndexBuild) {
    wholeLoad(ofShard: shard).wait(forBytes: Int64.max, WholeIndexWaiter(build))
  }

  private func wholeLoad(ofShard shard: Int) -> WholeShardLoad {
    let (load, isNew) = wholeLoads.withLock { loads in
      if let load = loads[shard] { return (load, false) }
      let load = WholeShardLoad(reader: self, shard: shard)
      loads[shard] = load
      return (load, true)
    }
    if isNew {
      inflaters.run(isUrgent: true) { load.run() }
    }
    return load
  }

  func wholeLoadEnded(_ shard: Int) {
    wholeLoads.withLock { $0[shard] = nil }
  }

  /// Takes the index that a whole load brought, unless it is known already.
  func wholeIndex(_ index: ShardIndex, ofShard shard: Int, isInflated: Bool) {
    let (build, isKnown) = records.withLock { records in
      (records.shards[shard].build, records.shards[shard].index?.isComplete == true)
    }
    guard !isKnown else { return }
    if let build {
      build.end(with: index, isInflated: isInflated, isNew: true)
    } else {
      _ = complete(index, ofShard: shard, isInflated: isInflated, isNew: true)
    }
  }

  // MARK: Chunks of a whole load

  enum WholeChunk {
    case filling(Filling)
    case noRoom
    case there
    case closed
  }

  /// Whether a chunk is in memory or on disk.
  func holds(_ chunk: ChunkID) -> Bool {
    if fetches.withLock({ $0.plan.contains(chunk) }) { return true }
    guard let disk else { return false }
    return disk.holds(chunk, of: identity(ofShard: Int(chunk.shard)))
  }

  /// Makes room for a chunk of a whole load; its length is not known before `endWhole`.
  func beginWhole(_ chunk: ChunkID, _ latch: Latch) -> WholeChunk {
    var freed = Blocks()
    let answer = fetches.withLock { fetches -> WholeChunk? in
      guard !fetches.isClosed else { return .closed }
      guard !fetches.plan.contains(chunk) else { return .there }
      let number = fetches.nextNumber
      let room = fetches.plan.begin(
        chunk.number..<chunk.number + 1,
        ofShard: chunk.shard,
        plane: chunk.plane,
        planeBytes: Int64.max,
        isAhead: false,
        sparingAhead: false,
        ticket: number
      )
      freed.add(fetches.plan.takeSpare())
      guard let room else {
        fetches.roomWaiters.append(latch)
        return .noRoom
      }
      freed.add(room)
      fetches.nextNumber += 1
      fetches.open[number] = .some(nil)
      return nil
    }
    freed.give(to: memory)
    if let answer { return answer }
    let number = fetches.withLock { $0.plan.slot(of: chunk).map { $0 } }
    guard let slot = number else { return .noRoom }
    let ticket = fetches.withLock { $0.plan.ticket(ofSlot: slot) }
    guard let filling = beginFilling(chunk, number: ticket) else { return .closed }
    return .filling(filling)
  }

  /// Shows a chunk of a whole load to its readers, now that it is filled.
  func endWhole(_ filling: Filling) {
    fetches.withLock { fetches in
      fetches.plan.shorten(filling.slot, to: filling.filledBytes)
      fetches.open.removeValue(forKey: fetches.plan.ticket(ofSlot: filling.slot))
    }
    advance(
      Filling(
        chunk: filling.chunk,
        slot: filling.slot,
        memory: filling.memory,
        lengthBytes: filling.filledBytes,
        filledBytes: filling.filledBytes
      )
    )
  }

  func abandon(_ filling: Filling) {
    let (waiters, freed) = fetches.withLock { fetches in
      let number = fetches.plan.ticket(ofSlot: filling.slot)
      fetches.open.removeValue(forKey: number)
      let (waiters, freed) = fetches.plan.abandon(
        filling.chunk.number..<filling.chunk.number + 1,
        ofShard: filling.chunk.shard,
        plane: filling.chunk.plane,
        ticket: number
      )
      return (waiters, Blocks(freed))
    }
    freed.give(to: memory)
    for waiter in waiters { waiter.cacheAnswered(nil) }
  }
}

/// Tells a build why its whole load failed; a load that succeeds ends the build itself.
private final class WholeIndexWaiter: CacheWaiter {
  private let build: IndexBuild

  init(_ build: IndexBuild) {
    self.build = build
  }

  func cacheAnswered(_ failure: CacheError?) {
    if let failure { build.fail(failure) }
  }
}
