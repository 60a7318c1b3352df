import Synchronization
import TarIndex

/// Shards that are read from front to back into the cache, or not at all.
extension ShardReader {
  /// Reads a shard whole for its index.
  func loadWhole(_ shard: Int, _ waiter: any CacheWaiter) {
    guard let load = wholeLoad(ofShard: shard, wantsStored: false) else {
      return waiter.cacheAnswered(.closed)
    }
    load.wait(forBytes: Int64.max, of: nil, waiter)
  }

  /// The load under way, or one that is begun; nil where the cache is closed.
  func wholeLoad(ofShard shard: Int, wantsStored: Bool) -> WholeShardLoad? {
    let (load, isNew) = wholeLoads.withLock { loads -> (WholeShardLoad?, Bool) in
      if let load = loads.loads[shard] { return (load, false) }
      guard !loads.isClosed else { return (nil, false) }
      let load = WholeShardLoad(reader: self, shard: shard, wantsStored: wantsStored)
      loads.loads[shard] = load
      return (load, true)
    }
    if isNew, let load {
      inflaters.run(isUrgent: true) { load.run() }
    }
    return load
  }

  func wholeLoadEnded(_ shard: Int, isComplete: Bool) {
    wholeLoads.withLock { loads in
      loads.loads[shard] = nil
      if isComplete { loads.desertedShards.remove(shard) }
    }
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

  /// Removes what is in the cache of an inflated plane, which a load that failed may have left.
  func dropInflated(_ shard: Int) {
    fetches.withLock { $0.plan.drop(shard: Int32(shard), plane: .inflated) }
    disk?.removeAll(of: identities[shard], plane: .inflated)
    roomWasMade()
  }

  /// Whether a chunk is in memory or on disk.
  private func holds(_ chunk: ChunkID) -> Bool {
    fetches.withLock { $0.plan.contains(chunk) }
      || disk?.holds(chunk, of: identities[Int(chunk.shard)]) == true
  }

  /// Makes room for a chunk of a whole load; its length is not known before `endWhole`.
  ///
  /// - Parameters:
  ///   - chunk: The next of the load.
  ///   - latch: Opened when it is worth trying again, where there is no room.
  /// - Returns: Where to put its bytes, or why not.
  func beginWhole(_ chunk: ChunkID, _ latch: Latch) -> WholeChunk {
    if holds(chunk) { return .there }
    let (answer, number) = fetches.withLock { fetches -> (WholeChunk?, FetchPlan.FetchNumber) in
      let number = fetches.nextNumber
      guard !fetches.isClosed else { return (.closed, number) }
      guard !fetches.plan.contains(chunk) else { return (.there, number) }
      let isBegun = fetches.plan.begin(
        chunk.number..<chunk.number + 1,
        ofShard: chunk.shard,
        plane: chunk.plane,
        planeBytes: Int64.max,
        for: .scan,
        sparingAhead: false,
        ticket: number
      )
      guard isBegun else {
        fetches.roomWaiters.append(.init(shard: chunk.shard, waiter: latch))
        return (.noRoom, number)
      }
      fetches.nextNumber += 1
      return (nil, number)
    }
    if let answer { return answer }
    if let filling = beginFilling(chunk, number: number) { return .filling(filling) }
    abandonWhole(chunk, number: number)
    return .closed
  }

  /// Shows a chunk of a whole load to its readers, now that it is filled.
  func endWhole(_ filling: Filling) {
    fetches.withLock { $0.plan.shorten(filling.slot, to: filling.filledBytes) }
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
    abandonWhole(
      filling.chunk,
      number: fetches.withLock { $0.plan.ticket(ofSlot: filling.slot) }
    )
  }

  private func abandonWhole(_ chunk: ChunkID, number: FetchPlan.FetchNumber) {
    let run = chunk.number..<chunk.number + 1
    finished(chunks: run, of: chunk, number: number, .success(()))
  }
}
