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

  /// What was decided under the lock and is done outside it.
  struct Orders {
    /// A run of chunks to bring.
    struct Order {
      let first: ChunkID
      let length: Int32
      let number: FetchPlan.FetchNumber
      let isFromDisk: Bool
    }

    var orders: [Order] = []
    var raised: (any FetchTicket)?
  }

  // MARK: Asking

  /// Starts bringing what is missing of a range, and tells the waiter when to ask again.
  ///
  /// - Parameters:
  ///   - range: Half-open, within the plane.
  ///   - shard: Its number.
  ///   - plane: Which bytes of it.
  ///   - planeBytes: Their number.
  ///   - need: Of a reader, or of a scan that passes over the bytes once.
  ///   - waiter: Told when the first chunk that is not ready yet has come, or at once where all is
  ///     ready.
  /// - Returns: Whether the waiter is taken care of; false where only a whole load can bring what
  ///   is missing.
  func obtain(
    _ range: Range<Int64>,
    ofShard shard: Int,
    plane: BytePlane,
    planeBytes: Int64,
    _ need: FetchPlan.Need,
    _ waiter: any CacheWaiter
  ) -> Bool {
    let numbers = ChunkID.numbers(holding: range)
    let isInPieces = plane == .stored && shards[shard].acceptsRanges
    var isReady = false
    var isOver = false
    let (isTaken, orders) = fetches.withLock { fetches -> (Bool, Orders) in
      var orders = Orders()
      guard !fetches.isClosed, !fetches.changedShards.contains(Int32(shard)) else {
        isOver = true
        return (true, orders)
      }
      var rest = numbers
      while let run = fetches.plan.firstMissing(
        in: rest,
        ofShard: Int32(shard),
        plane: plane,
        of: range,
        maxLength: isInPieces ? settings.maxRunLength : 1
      ) {
        let first = ChunkID(shard: Int32(shard), plane: plane, number: run.lowerBound)
        if !isInPieces && disk != nil && !fetches.isScanned {
          fetches.scanWaiters.append(waiter)
          return (true, orders)
        }
        guard isInPieces || disk?.holds(first, of: identities[shard]) == true else {
          return (false, orders)
        }
        let isBegun = enter(first, run.upperBound, planeBytes, range, need, &fetches, &orders)
        guard isBegun else { break }
        rest = run.upperBound..<rest.upperBound
      }
      for number in numbers {
        let chunk = ChunkID(shard: Int32(shard), plane: plane, number: number)
        let part = chunk.part(of: range)
        switch fetches.plan.finding(of: chunk, holding: part) {
        case .ready(let slot):
          // It must still be there when the rest has come.
          if need == .read { fetches.plan.expect(slot) }
        case .absent:
          fetches.statistics.waits += 1
          fetches.roomWaiters.append(.init(shard: Int32(shard), waiter: waiter))
          return (true, orders)
        case .onItsWay(let slot):
          fetches.statistics.waits += 1
          fetches.plan.wait(for: slot, filledTo: part.upperBound, waiter)
          if need == .read { fetches.plan.expect(slot) }
          orders.raised = fetches.raise(fetches.plan.ticket(ofSlot: slot))
          return (true, orders)
        }
      }
      isReady = true
      return (true, orders)
    }
    carryOut(orders)
    if isReady { waiter.cacheAnswered(nil) }
    if isOver { waiter.cacheAnswered(lastingFailure(ofShard: shard) ?? .closed) }
    return isTaken
  }

  /// Starts bringing a range of the stored plane for which nobody waits yet, as far as there is room.
  func obtainAhead(_ range: Range<Int64>, ofShard shard: Int) {
    let orders = fetches.withLock { fetches -> Orders in
      var orders = Orders()
      guard !fetches.isClosed else { return orders }
      var rest = ChunkID.numbers(holding: range)
      let bytes = shards[shard].sizeBytes
      while let run = fetches.plan.firstMissing(
        in: rest,
        ofShard: Int32(shard),
        plane: .stored,
        of: range,
        maxLength: settings.maxRunLength
      ) {
        let first = ChunkID(shard: Int32(shard), plane: .stored, number: run.lowerBound)
        guard enter(first, run.upperBound, bytes, range, .ahead, &fetches, &orders) else { break }
        rest = run.upperBound..<rest.upperBound
      }
      return orders
    }
    carryOut(orders)
  }

  /// Enters a run into the plan: from disk where it may be there, else by range GETs.
  ///
  /// - Parameters:
  ///   - first: Where the run begins.
  ///   - end: The number behind its last chunk.
  ///   - planeBytes: The plane's size.
  ///   - wanted: What is needed of the plane; nil for the whole chunks.
  ///   - need: For whom.
  ///   - fetches: Under the caller's lock.
  ///   - orders: Gets what is to be done outside it.
  /// - Returns: Whether there was room for all of it.
  func enter(
    _ first: ChunkID,
    _ end: Int32,
    _ planeBytes: Int64,
    _ wanted: Range<Int64>?,
    _ need: FetchPlan.Need,
    _ fetches: inout Fetches,
    _ orders: inout Orders
  ) -> Bool {
    func begin(_ run: Range<Int32>, isFromDisk: Bool, part: Range<Int>? = nil) -> Bool {
      guard !run.isEmpty else { return true }
      let number = fetches.nextNumber
      let isBegun = fetches.plan.begin(
        run,
        ofShard: first.shard,
        plane: first.plane,
        planeBytes: planeBytes,
        part: part,
        for: need,
        // What is on disk can be loaded again, so memory need not be kept for what lies ahead.
        sparingAhead: need == .ahead && disk?.isWorking != true,
        ticket: number
      )
      guard isBegun else { return false }
      fetches.nextNumber += 1
      fetches.open[number] = OpenFetch(isAhead: need == .ahead)
      if need == .ahead { fetches.aheadCount += 1 }
      orders.orders.append(
        Orders.Order(
          first: ChunkID(shard: first.shard, plane: first.plane, number: run.lowerBound),
          length: Int32(run.count),
          number: number,
          isFromDisk: isFromDisk
        )
      )
      return true
    }
    var start = first.number
    if let disk {
      for number in first.number..<end {
        let chunk = ChunkID(shard: first.shard, plane: first.plane, number: number)
        guard disk.mayHold(chunk, of: identities[Int(first.shard)]) else { continue }
        guard begin(start..<number, isFromDisk: false) else { return false }
        var part: Range<Int>?
        // Where a part was not enough, all is brought, so that there is no third time.
        if let wanted, need != .scan, chunk.plane == .stored, !fetches.plan.contains(chunk) {
          let lengthBytes = chunk.lengthBytes(ofPlane: planeBytes)
          part = Self.partToLoad(chunk.part(of: wanted), of: lengthBytes, need)
        }
        guard begin(number..<number + 1, isFromDisk: true, part: part) else { return false }
        start = number + 1
      }
    }
    return begin(start..<end, isFromDisk: false)
  }

  /// What of a chunk on disk is worth loading by itself: a sample's blocks in its middle.
  ///
  /// Who reads from a chunk's start is on his way through it, but for one who is at a sample by
  /// itself. Without one a block more than is wanted is taken: the next field is likely to be next.
  ///
  /// - Parameters:
  ///   - wanted: Of the chunk.
  ///   - lengthBytes: Of the chunk.
  ///   - need: For whom.
  /// - Returns: Whole blocks; nil where all of it is to be loaded.
  static func partToLoad(
    _ wanted: Range<Int>,
    of lengthBytes: Int,
    _ need: FetchPlan.Need
  ) -> Range<Int>? {
    let isSample = need == .sample
    let end = wanted.upperBound + (isSample ? 0 : ChunkFileHeader.blockBytes)
    let part = ChunkFileHeader.blocks(holding: wanted.lowerBound..<end, of: lengthBytes)
    guard isSample || part.lowerBound > 0, part.count <= lengthBytes / 2 else { return nil }
    return part
  }

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

  // MARK: Bringing

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

  // MARK: Failures

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

extension ShardReader.Fetches {
  /// Notes that a reader waits for a fetch, and gives its ticket where that is news to the store.
  fileprivate mutating func raise(_ number: FetchPlan.FetchNumber) -> (any FetchTicket)? {
    guard let fetch = open[number], fetch.isAhead, !fetch.isRaised else { return nil }
    open[number]?.isRaised = true
    return fetch.ticket
  }
}
