import Glibc
import Logging
import Remote
import Synchronization
package import TarIndex

extension ShardReader {
  /// What is known of a shard's samples: all of them, or those met so far.
  package func index(ofShard shard: Int) -> ShardIndex? {
    records.withLock { $0.shards[shard].index }
  }

  /// The index and the plane its offsets count in, in one look.
  package func indexAndPlane(ofShard shard: Int) -> (index: ShardIndex, plane: BytePlane)? {
    records.withLock { records in
      guard let index = records.shards[shard].index else { return nil }
      return (index, records.shards[shard].isInflated ? .inflated : .stored)
    }
  }

  /// Why nothing more can be had of a shard for the life of this mount, if so.
  package func lastingFailure(ofShard shard: Int) -> CacheError? {
    records.withLock { $0.failures[shard] }
  }

  /// Tells the waiter when the index has sample `number`, or is complete without it.
  ///
  /// - Parameters:
  ///   - number: 0-based; `Int.max` waits for the whole index.
  ///   - shard: Its number.
  ///   - waiter: Told at once where it is known already.
  package func wait(forSample number: Int, ofShard shard: Int, _ waiter: any CacheWaiter) {
    let (build, failure) = records.withLock { records -> (IndexBuild?, CacheError?) in
      if let failure = records.failures[shard] { return (nil, failure) }
      if let index = records.shards[shard].index, index.isComplete || number < index.sampleCount {
        return (nil, nil)
      }
      return (self.build(ofShard: shard, &records), nil)
    }
    guard let build else { return waiter.cacheAnswered(failure) }
    build.want(number, waiter)
  }

  /// Lets a shard's index grow from what is fetched for other reasons.
  package func beginIndex(ofShard shard: Int) {
    let build = records.withLock { records -> IndexBuild? in
      guard records.failures[shard] == nil, records.shards[shard].index?.isComplete != true,
        records.shards[shard].build == nil
      else { return nil }
      return self.build(ofShard: shard, &records)
    }
    build?.begin()
  }

  private func build(ofShard shard: Int, _ records: inout Records) -> IndexBuild {
    if let build = records.shards[shard].build { return build }
    let build = IndexBuild(reader: self, shard: shard)
    records.shards[shard].build = build
    return build
  }

  // MARK: For the build

  func keptIndex(ofShard shard: Int) -> (index: ShardIndex, isInflated: Bool)? {
    guard let directory else { return nil }
    return IndexFile(directory: directory, identity: identity(ofShard: shard)).load()
  }

  func offerToIndex(_ filling: Filling) {
    guard filling.chunk.plane == .stored else { return }
    let build = records.withLock { $0.shards[Int(filling.chunk.shard)].build }
    build?.offer(filling.chunk.number)
  }

  /// Shows the body what has come of a chunk, holding it meanwhile.
  ///
  /// - Returns: What the body returns; false where nothing has come.
  func withFilled(_ chunk: ChunkID, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
    let held = fetches.withLock { fetches -> Filling? in
      guard let slot = fetches.plan.slot(of: chunk), fetches.plan.filledBytes(ofSlot: slot) > 0,
        let memory = fetches.plan.hold(slot)
      else { return nil }
      return Filling(
        chunk: chunk,
        slot: slot,
        memory: memory,
        lengthBytes: fetches.plan.lengthBytes(ofSlot: slot),
        filledBytes: fetches.plan.filledBytes(ofSlot: slot)
      )
    }
    guard let held else { return false }
    defer { release(slot: held.slot) }
    return body(UnsafeRawBufferPointer(start: held.memory, count: held.filledBytes))
  }

  func isOnItsWay(_ offset: Int64, ofShard shard: Int) -> Bool {
    let number = Int32(clamping: offset / Int64(ChunkID.sizeBytes))
    let chunk = ChunkID(shard: Int32(shard), plane: .stored, number: number)
    return fetches.withLock { $0.plan.contains(chunk) }
  }

  /// Lets readers see the samples met so far.
  func publish(_ index: ShardIndex, ofShard shard: Int, isInflated: Bool) {
    records.withLock { records in
      let known = records.shards[shard].index
      guard known?.isComplete != true, index.sampleCount >= known?.sampleCount ?? 0 else { return }
      records.shards[shard].index = index
      records.shards[shard].isInflated = isInflated
    }
  }

  /// Takes a whole index in, keeps it on disk where it is new, and reports what is wrong with it.
  ///
  /// - Returns: Why the shard cannot be served, under `--strict`.
  func complete(
    _ index: ShardIndex,
    ofShard shard: Int,
    isInflated: Bool,
    isNew: Bool
  ) -> CacheError? {
    let key = shards[shard].key
    let failure = index.damage.map { damage in
      CacheError.shardBad(
        shard: key,
        errorClass: damage.errorClass.name,
        offset: damage.offset
      )
    }
    records.withLock { records in
      if settings.isStrict, let failure {
        records.failures[shard] = failure
      } else {
        records.shards[shard].index = index
        records.shards[shard].isInflated = isInflated
      }
      records.shards[shard].build = nil
    }
    fetches.withLock { fetches in
      if isNew {
        fetches.statistics.indexesBuilt += 1
      } else {
        fetches.statistics.indexesLoaded += 1
      }
      if index.damage != nil { fetches.statistics.damagedShards += 1 }
    }
    report(index, ofShard: shard)
    // A damaged shard is scanned again by the next mount: the damage may be the transfer's.
    if isNew, index.damage == nil, let directory {
      let file = IndexFile(directory: directory, identity: identity(ofShard: shard))
      workers.run(isUrgent: false) { file.store(index, isInflated: isInflated) }
    }
    return settings.isStrict ? failure : nil
  }

  func forgetBuild(ofShard shard: Int) {
    records.withLock { $0.shards[shard].build = nil }
  }

  private func report(_ index: ShardIndex, ofShard shard: Int) {
    let key = shards[shard].key
    if let damage = index.damage {
      logger.error(
        "the shard is damaged: what is complete before the damage is served",
        metadata: [
          "event": "shard.bad", "shard": "\(key)", "class": "\(damage.errorClass.name)",
          "offset": "\(damage.offset)", "samples": "\(index.sampleCount)",
        ]
      )
    }
    for warning in index.warnings {
      logger.warning(
        "odd members in a shard",
        metadata: [
          "event": "shard.warn", "shard": "\(key)", "class": "\(warning.warningClass.name)",
          "count": "\(warning.count)",
          "first": "\(PrintableName.text(warning.firstName))",
        ]
      )
    }
  }
}
