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

  /// Takes what the bucket states of its shards for their counts, before anything is asked.
  ///
  /// An order is made by them, so a shard that turns out to hold more or fewer is not served.
  package func believe(_ counts: StatedCounts) {
    records.withLock { $0.stated = counts }
  }

  /// How many samples a shard holds, as far as it is known or believed.
  package func sampleCount(ofShard shard: Int) -> Int? {
    records.withLock { records in
      guard let index = records.shards[shard].index, index.isComplete else {
        return records.stated[shard]
      }
      return index.sampleCount
    }
  }

  /// The counts that hold for every mount of the same shards: damage may be the transfer's.
  ///
  /// - Parameter shards: Their numbers.
  /// - Returns: Nil in the place of each whose count is not known so well.
  package func settledCounts(of shards: [Int]) -> [Int?] {
    records.withLock { records in
      shards.map { shard in
        guard let index = records.shards[shard].index, index.isComplete else {
          return records.stated[shard]
        }
        return index.damage == nil ? index.sampleCount : nil
      }
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
      if records.isClosed { return (nil, .closed) }
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
  ///
  /// - Parameters:
  ///   - shard: Its number.
  ///   - isWanted: Whether it is made even though nobody waits, by reading what is missing.
  package func beginIndex(ofShard shard: Int, isWanted: Bool = false) {
    let build = records.withLock { records -> IndexBuild? in
      guard !records.isClosed, records.failures[shard] == nil,
        records.shards[shard].index?.isComplete != true
      else { return nil }
      guard records.shards[shard].build == nil || isWanted else { return nil }
      return self.build(ofShard: shard, &records)
    }
    if isWanted { build?.wantWhole() } else { build?.begin() }
  }

  private func build(ofShard shard: Int, _ records: inout Records) -> IndexBuild {
    if let build = records.shards[shard].build { return build }
    let build = IndexBuild(reader: self, shard: shard, stated: records.stated[shard])
    records.shards[shard].build = build
    return build
  }

  // MARK: For the build

  func keptIndex(ofShard shard: Int) -> (index: ShardIndex, isInflated: Bool)? {
    guard let directory,
      let kept = IndexFile(directory: directory, identity: identities[shard]).load()
    else { return nil }
    let maxBytes = kept.isInflated ? settings.maxInflatedBytes : shards[shard].sizeBytes
    let minBytes = kept.isInflated ? 0 : maxBytes
    guard kept.index.isComplete, kept.index.damage == nil, minBytes <= maxBytes,
      (minBytes...maxBytes).contains(kept.index.objectBytes)
    else { return nil }
    return kept
  }

  func offerToIndex(_ chunk: ChunkID) {
    let build = records.withLock { $0.shards[Int(chunk.shard)].build }
    build?.offer(chunk.number)
  }

  /// Shows the body what has come of a chunk, holding it meanwhile.
  ///
  /// May be called within a lock; `roomWasMade` is then to be called without it.
  ///
  /// - Returns: What the body returns; false where nothing has come.
  func withFilled(_ chunk: ChunkID, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
    let held = fetches.withLock { fetches -> Filling? in
      guard let slot = fetches.plan.slot(of: chunk), fetches.plan.filledBytes(ofSlot: slot) > 0,
        fetches.plan.part(ofSlot: slot).lowerBound == 0,
        !fetches.changedShards.contains(chunk.shard), let memory = fetches.plan.hold(slot)
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
    defer { fetches.withLock { $0.plan.release(held.slot) } }
    return body(UnsafeRawBufferPointer(start: held.memory, count: held.filledBytes))
  }

  func isOnItsWay(_ offset: Int64, ofShard shard: Int) -> Bool {
    let number = Int32(clamping: offset / Int64(ChunkID.sizeBytes))
    let chunk = ChunkID(shard: Int32(shard), plane: .stored, number: number)
    return fetches.withLock { !$0.plan.lacks(chunk, nil) }
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
  /// - Returns: Why the shard cannot be served: damaged under `--strict`, or not what an order was
  ///   made by.
  func complete(
    _ index: ShardIndex,
    ofShard shard: Int,
    isInflated: Bool,
    isNew: Bool
  ) -> CacheError? {
    let key = shards[shard].key
    var failure: CacheError?
    if settings.isStrict, let damage = index.damage {
      failure = .shardBad(shard: key, errorClass: damage.errorClass.name, offset: damage.offset)
    }
    let wrongCount = records.withLock { records -> CacheError? in
      guard let stated = records.stated[shard], stated != index.sampleCount else { return nil }
      return .countWrong(
        shard: key,
        stated: stated,
        found: index.sampleCount,
        source: records.stated.source(ofShard: shard)
      )
    }
    if let wrongCount {
      failure = wrongCount
      logger.error("\(wrongCount)", metadata: ["event": "shard.count_wrong", "shard": "\(key)"])
    }
    records.withLock { records in
      if let failure {
        records.failures[shard] = records.failures[shard] ?? failure
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
      let file = IndexFile(directory: directory, identity: identities[shard])
      workers.run(isUrgent: false) { file.store(index, isInflated: isInflated) }
    }
    return failure
  }

  /// Keeps an index on disk that came from the bucket.
  func keep(_ shard: IndexedShard, ofShard number: Int) {
    guard let directory else { return }
    let file = IndexFile(directory: directory, identity: identities[number])
    workers.run(isUrgent: false) { file.store(shard.index, isInflated: shard.isInflated) }
  }

  /// Takes a build that has failed out, unless another is there already.
  func forget(_ build: IndexBuild, ofShard shard: Int) {
    records.withLock { records in
      if records.shards[shard].build === build { records.shards[shard].build = nil }
    }
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
