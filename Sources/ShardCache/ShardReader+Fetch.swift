import DequeModule
import Glibc
import Logging
import Remote
import Synchronization

extension ShardReader {
  /// A chunk that is being filled: where its bytes go, and how far they have come.
  ///
  /// Proof of `@unchecked Sendable`: the memory belongs to who fills it until it is complete.
  struct Filling: @unchecked Sendable {
    let chunk: ChunkID
    let slot: Int
    let memory: UnsafeMutableRawPointer
    let lengthBytes: Int

    /// What of the chunk is to come; nil for all.
    var part: Range<Int>?
    var filledBytes = 0
    var isComplete: Bool { filledBytes == part?.upperBound ?? lengthBytes }
  }

  // MARK: Bringing

  func carryOut(_ orders: Orders) {
    orders.raised?.raisePriority()
    for order in orders.orders {
      if order.isFromDisk {
        load(order.first, number: order.number)
      } else {
        fetch(order.first, length: order.length, number: order.number)
      }
    }
  }

  private func fetch(_ first: ChunkID, length: Int32, number: FetchPlan.FetchNumber) {
    let object = shards[Int(first.shard)]
    let run = first.number..<first.number + length
    if let disk, disk.learn(of: run, from: first, of: identities[Int(first.shard)]) {
      // Who waits asks again, and finds it on disk.
      return finished(chunks: run, of: first, number: number, .success(()))
    }
    let end = first.startOffset + Int64(length) * Int64(ChunkID.sizeBytes)
    let isAhead = fetches.withLock { fetches in
      guard let open = fetches.open[number] else { return false }
      return open.isAhead && !open.isRaised
    }
    let receiver = ChunkFetch(
      reader: self,
      shard: first.shard,
      run: run,
      number: number
    )
    let request = RangeRequest(
      object: object,
      range: first.startOffset..<min(object.sizeBytes, end),
      priority: isAhead ? .readAhead : .reader
    )
    let ticket = store.fetch(request, into: receiver)
    let (isOver, isRaised) = fetches.withLock { fetches in
      // It may have finished meanwhile, and then there is nothing to hold.
      fetches.open[number]?.ticket = ticket
      let isDeserted = fetches.open[number]?.isDeserted == true
      let isRaised = isAhead && fetches.open[number]?.isRaised == true
      return (fetches.isClosed || isDeserted, isRaised)
    }
    if isRaised { ticket.raisePriority() }
    if isOver { ticket.cancel() }
  }

  private func load(_ chunk: ChunkID, number: FetchPlan.FetchNumber) {
    // Of what is fetched ahead only the nearest is loaded, so a reader is soon to come for it.
    workers.run(isUrgent: true) { [self] in
      let run = chunk.number..<chunk.number + 1
      guard let disk, var filling = beginFilling(chunk, number: number) else {
        return finished(chunks: run, of: chunk, number: number, .failure(.cancelled))
      }
      let bytes = UnsafeMutableRawBufferPointer(
        start: filling.memory,
        count: filling.lengthBytes
      )
      let identity = identities[Int(chunk.shard)]
      guard disk.load(chunk, of: identity, into: bytes, part: filling.part) else {
        if chunk.plane == .stored && shards[Int(chunk.shard)].acceptsRanges {
          fetches.withLock { $0.plan.widen(chunk, ticket: number) }
          return fetch(chunk, length: 1, number: number)
        }
        // Who waited asks again and finds that only a whole load can bring it.
        return finished(chunks: run, of: chunk, number: number, .success(()))
      }
      filling.filledBytes = filling.part?.upperBound ?? filling.lengthBytes
      fetches.withLock { fetches in
        fetches.statistics.chunksLoadedFromDisk += 1
        fetches.plan.markClean(filling.slot)
      }
      advance(filling)
      let none = run.upperBound..<run.upperBound
      finished(chunks: none, of: chunk, number: number, .success(()))
    }
  }

  /// Gives a chunk on its way the memory for its bytes.
  ///
  /// - Returns: nil where the chunk is not this fetch's, or no memory is to be had.
  func beginFilling(_ chunk: ChunkID, number: FetchPlan.FetchNumber) -> Filling? {
    func filling(_ fetches: inout Fetches, new: ChunkArena.Block?) -> Filling? {
      guard let slot = fetches.plan.slot(of: chunk), fetches.plan.ticket(ofSlot: slot) == number
      else { return nil }
      if let new { fetches.plan.assign(new.memory, to: slot) }
      guard let memory = fetches.plan.memory(ofSlot: slot) else { return nil }
      return Filling(
        chunk: chunk,
        slot: slot,
        memory: memory,
        lengthBytes: fetches.plan.lengthBytes(ofSlot: slot),
        part: fetches.plan.part(ofSlot: slot)
      )
    }
    if let begun = fetches.withLock({ filling(&$0, new: nil) }) { return begun }
    guard let block = arena.take() else {
      // Another chunk gives up its place, so that a reader need not hear of it.
      return fetches.withLock { fetches in
        fetches.plan.evictOne(sparingAhead: false) ? filling(&fetches, new: nil) : nil
      }
    }
    if let begun = fetches.withLock({ filling(&$0, new: block) }) { return begun }
    arena.giveBack(block)
    return nil
  }

  // MARK: What has come

  /// Tells those who waited how far a chunk has come, and stores it once it is whole.
  func advance(_ filling: Filling) {
    let isComplete = filling.isComplete
    let (waiters, isKept) = fetches.withLock { fetches in
      let waiters = fetches.plan.filled(filling.slot, to: filling.filledBytes)
      // What a waiter is told of stays until it has asked for it.
      if !waiters.isEmpty { _ = fetches.plan.hold(filling.slot) }
      guard isComplete, !fetches.plan.isClean(filling.slot) else { return (waiters, false) }
      fetches.statistics.chunksFetched += 1
      fetches.deserted.remove(filling.chunk)
      guard disk != nil else {
        fetches.plan.markClean(filling.slot)
        return (waiters, false)
      }
      // Held until it is written.
      _ = fetches.plan.hold(filling.slot)
      return (waiters, true)
    }
    for waiter in waiters { waiter.cacheAnswered(nil) }
    if !waiters.isEmpty { release(filling.slot) }
    if filling.chunk.plane == .stored { offerToIndex(filling.chunk) }
    if isKept {
      keep(filling)
    } else if isComplete {
      roomWasMade()
    }
  }

  private func keep(_ filling: Filling) {
    workers.run(isUrgent: false) { [self] in
      let identity = identities[Int(filling.chunk.shard)]
      if !fetches.withLock({ $0.plan.isOrphan(filling.slot) }) {
        let bytes = UnsafeRawBufferPointer(start: filling.memory, count: filling.lengthBytes)
        disk?.store(filling.chunk, of: identity, bytes)
      }
      let isDropped = fetches.withLock { fetches in
        let isDropped = fetches.plan.isOrphan(filling.slot)
        fetches.plan.markClean(filling.slot)
        fetches.plan.release(filling.slot)
        return isDropped
      }
      // It was given up while it was written.
      if isDropped { disk?.remove(filling.chunk, of: identity) }
      roomWasMade()
      pump()
    }
  }

  /// Ends a fetch or a load: what it did not bring is given up, and who waited for that is told.
  ///
  /// - Parameters:
  ///   - chunks: What did not come.
  ///   - chunk: Any chunk of the same shard and plane.
  ///   - number: The fetch.
  ///   - result: Why the chunks did not come; after a success those who waited ask again.
  func finished(
    chunks: Range<Int32>,
    of chunk: ChunkID,
    number: FetchPlan.FetchNumber,
    _ result: Result<Void, StoreError>
  ) {
    let failure: CacheError? =
      switch result {
      case .success: nil
      // Who came after the last had left asks again.
      case .failure(.cancelled) where isDeserted(number): nil
      case .failure(let error): restate(error, ofShard: Int(chunk.shard), run: chunks)
      }
    let waiters = fetches.withLock { fetches in
      if fetches.open.removeValue(forKey: number)?.isAhead == true { fetches.aheadCount -= 1 }
      return fetches.plan.abandon(
        chunks,
        ofShard: chunk.shard,
        plane: chunk.plane,
        ticket: number
      )
    }
    for waiter in waiters { waiter.cacheAnswered(failure) }
    roomWasMade()
    pump()
  }

  /// Has those who found no room ask again, as many as there is room for.
  ///
  /// Never within another lock.
  func roomWasMade() {
    guard fetches.withLock({ !$0.roomWaiters.isEmpty && $0.waking.enter() }) else { return }
    var isOver = false
    while !isOver {
      // Who finds no room after all comes back to the end of the queue, and is not asked again now.
      for _ in 0..<fetches.withLock({ $0.roomWaiters.count }) {
        let waiting = fetches.withLock { fetches -> Fetches.RoomWaiter? in
          guard fetches.plan.hasRoom else { return nil }
          let place = fetches.roomWaiters.firstIndex { fetches.plan.hasShare(ofShard: $0.shard) }
          return place.map { fetches.roomWaiters.remove(at: $0) }
        }
        guard let waiting else { break }
        waiting.waiter.cacheAnswered(nil)
      }
      isOver = fetches.withLock { $0.waking.leave() }
    }
  }
}
