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
    var filledBytes = 0
  }

  /// What was decided under the lock and is done outside it.
  private struct Orders {
    var fetches: [(run: Range<Int32>, number: FetchPlan.FetchNumber)] = []
    var loads: [(chunk: Int32, number: FetchPlan.FetchNumber)] = []
    var freed = Blocks()
    var raised: [any FetchTicket] = []
  }

  // MARK: Asking

  /// Starts fetching what is missing of a range of the stored plane.
  ///
  /// - Parameters:
  ///   - range: Half-open, within the object.
  ///   - shard: Its number.
  ///   - isAhead: Nobody waits for it yet.
  ///   - waiter: Told when the first chunk that is not ready yet has come, or at once where all is
  ///     ready.
  func obtain(
    _ range: Range<Int64>,
    ofShard shard: Int,
    isAhead: Bool,
    _ waiter: (any CacheWaiter)?
  ) {
    let shardNumber = Int32(shard)
    let numbers = ChunkID.numbers(holding: range)
    var isReady = false
    let orders = fetches.withLock { fetches -> Orders in
      var orders = Orders()
      guard !fetches.isClosed else {
        isReady = true
        return orders
      }
      var rest = numbers
      while let run = fetches.plan.firstMissing(
        in: rest,
        ofShard: shardNumber,
        plane: .stored,
        maxLength: settings.maxRunLength
      ) {
        guard enter(run, ofShard: shard, isAhead: isAhead, &fetches, &orders) else { break }
        rest = run.upperBound..<rest.upperBound
      }
      guard let waiter else { return orders }
      fetches.statistics.waits += 1
      for number in numbers {
        let chunk = ChunkID(shard: shardNumber, plane: .stored, number: number)
        let end = Int(min(range.upperBound - chunk.startOffset, Int64(ChunkID.sizeBytes)))
        switch fetches.plan.finding(of: chunk, filledTo: end) {
        case .ready: continue
        case .absent:
          fetches.roomWaiters.append(waiter)
          return orders
        case .onItsWay(let slot):
          fetches.plan.wait(for: slot, filledTo: end, waiter)
          if let ticket = fetches.open[fetches.plan.ticket(ofSlot: slot)] ?? nil {
            orders.raised.append(ticket)
          }
          return orders
        }
      }
      isReady = true
      return orders
    }
    carryOut(orders, ofShard: shard, isAhead: isAhead)
    if isReady {
      waiter?.cacheAnswered(fetches.withLock { $0.isClosed } ? .closed : nil)
    }
  }

  /// Waits for chunks of a whole load that are in memory or on disk.
  ///
  /// - Returns: Whether the waiter is taken care of; false where a chunk is in neither place.
  func obtainFromDisk(
    _ range: Range<Int64>,
    ofShard shard: Int,
    plane: BytePlane,
    _ waiter: any CacheWaiter
  ) -> Bool {
    let identity = identity(ofShard: shard)
    var answer: CacheError??
    let (isTaken, orders) = fetches.withLock { fetches -> (Bool, Orders) in
      var orders = Orders()
      guard !fetches.isClosed else {
        answer = .some(.closed)
        return (true, orders)
      }
      for number in ChunkID.numbers(holding: range) {
        let chunk = ChunkID(shard: Int32(shard), plane: plane, number: number)
        let end = Int(min(range.upperBound - chunk.startOffset, Int64(ChunkID.sizeBytes)))
        if case .ready = fetches.plan.finding(of: chunk, filledTo: end) { continue }
        if case .absent = fetches.plan.finding(of: chunk, filledTo: end) {
          guard let disk, disk.holds(chunk, of: identity) else { return (false, orders) }
          let single = number..<number + 1
          let begun = begin(
            single,
            ofShard: shard,
            plane: plane,
            isAhead: false,
            &fetches,
            &orders
          )
          guard let begun else {
            fetches.roomWaiters.append(waiter)
            return (true, orders)
          }
          orders.loads.append((number, begun))
        }
        guard let slot = fetches.plan.slot(of: chunk) else { return (false, orders) }
        fetches.plan.wait(for: slot, filledTo: end, waiter)
        return (true, orders)
      }
      answer = .some(nil)
      return (true, orders)
    }
    carryOut(orders, ofShard: shard, plane: plane, isAhead: false)
    if let answer { waiter.cacheAnswered(answer) }
    return isTaken
  }

  /// Enters a run into the plan: from disk where it may be there, else by range GETs.
  private func enter(
    _ run: Range<Int32>,
    ofShard shard: Int,
    isAhead: Bool,
    _ fetches: inout Fetches,
    _ orders: inout Orders
  ) -> Bool {
    let identity = disk == nil ? nil : identity(ofShard: shard)
    var fetchStart = run.lowerBound
    func fetch(upTo end: Int32) -> Bool {
      guard fetchStart < end else { return true }
      let number = begin(fetchStart..<end, ofShard: shard, isAhead: isAhead, &fetches, &orders)
      guard let number else { return false }
      orders.fetches.append((fetchStart..<end, number))
      return true
    }
    for number in run {
      let chunk = ChunkID(shard: Int32(shard), plane: .stored, number: number)
      guard let disk, let identity, disk.mayHold(chunk, of: identity) else { continue }
      guard fetch(upTo: number) else { return false }
      let single = number..<number + 1
      let loaded = begin(single, ofShard: shard, isAhead: isAhead, &fetches, &orders)
      guard let loaded else { return false }
      orders.loads.append((number, loaded))
      fetchStart = number + 1
    }
    return fetch(upTo: run.upperBound)
  }

  private func begin(
    _ run: Range<Int32>,
    ofShard shard: Int,
    plane: BytePlane = .stored,
    isAhead: Bool,
    _ fetches: inout Fetches,
    _ orders: inout Orders
  ) -> FetchPlan.FetchNumber? {
    let number = fetches.nextNumber
    let freed = fetches.plan.begin(
      run,
      ofShard: Int32(shard),
      plane: plane,
      planeBytes: planeBytes(plane, ofShard: shard) ?? 0,
      isAhead: isAhead,
      // What is on disk can be loaded again, so memory need not be kept for what lies ahead.
      sparingAhead: isAhead && !(disk?.isWorking ?? false),
      ticket: number
    )
    orders.freed.add(fetches.plan.takeSpare())
    guard let freed else { return nil }
    orders.freed.add(freed)
    fetches.nextNumber += 1
    fetches.open[number] = .some(nil)
    if isAhead { fetches.aheadCount += 1 }
    return number
  }

  private func carryOut(
    _ orders: Orders,
    ofShard shard: Int,
    plane: BytePlane = .stored,
    isAhead: Bool
  ) {
    orders.freed.give(to: memory)
    for ticket in orders.raised { ticket.raisePriority() }
    for (chunk, number) in orders.loads {
      let chunk = ChunkID(shard: Int32(shard), plane: plane, number: chunk)
      load(chunk, number: number, isAhead: isAhead)
    }
    for (run, number) in orders.fetches {
      fetch(run, ofShard: shard, number: number, isAhead: isAhead)
    }
  }

  private func fetch(
    _ run: Range<Int32>,
    ofShard shard: Int,
    number: FetchPlan.FetchNumber,
    isAhead: Bool
  ) {
    let object = shards[shard]
    let start = Int64(run.lowerBound) * Int64(ChunkID.sizeBytes)
    let end = min(object.sizeBytes, Int64(run.upperBound) * Int64(ChunkID.sizeBytes))
    let receiver = ChunkFetch(
      reader: self,
      shard: Int32(shard),
      run: run,
      number: number,
      isAhead: isAhead
    )
    let request = RangeRequest(
      object: object,
      range: start..<end,
      priority: isAhead ? .readAhead : .reader
    )
    let ticket = store.fetch(request, into: receiver)
    let isClosed = fetches.withLock { fetches in
      // It may have finished meanwhile, and then there is nothing to hold.
      if fetches.open[number] != nil { fetches.open[number] = ticket }
      return fetches.isClosed
    }
    if isClosed { ticket.cancel() }
  }

  private func load(_ chunk: ChunkID, number: FetchPlan.FetchNumber, isAhead: Bool) {
    workers.run(isUrgent: !isAhead) { [self] in
      let shard = Int(chunk.shard)
      let run = chunk.number..<chunk.number + 1
      guard let disk, var filling = beginFilling(chunk, number: number) else {
        return finished(chunks: run, of: chunk, number: number, isAhead: isAhead, .success(()))
      }
      let bytes = UnsafeMutableRawBufferPointer(
        start: filling.memory,
        count: filling.lengthBytes
      )
      guard disk.load(chunk, of: identity(ofShard: shard), into: bytes) else {
        if chunk.plane == .stored && shards[shard].acceptsRanges {
          return fetch(run, ofShard: shard, number: number, isAhead: isAhead)
        }
        // Who waited asks again and finds that only a whole load can bring it.
        return finished(chunks: run, of: chunk, number: number, isAhead: isAhead, .success(()))
      }
      filling.filledBytes = filling.lengthBytes
      fetches.withLock { fetches in
        fetches.statistics.chunksLoadedFromDisk += 1
        fetches.plan.markClean(filling.slot)
      }
      advance(filling)
      let none = run.upperBound..<run.upperBound
      finished(chunks: none, of: chunk, number: number, isAhead: isAhead, .success(()))
    }
  }

  func identity(ofShard shard: Int) -> ShardIdentity {
    let object = shards[shard]
    return ShardIdentity(
      storeIdentity: store.identity,
      key: object.key.bytes,
      eTag: object.eTag,
      sizeBytes: object.sizeBytes
    )
  }

  // MARK: Filling

  /// Gives a chunk on its way the memory for its bytes.
  ///
  /// - Returns: nil where the chunk is no longer wanted of this fetch, or no memory is to be had.
  func beginFilling(_ chunk: ChunkID, number: FetchPlan.FetchNumber) -> Filling? {
    guard let block = memory.take() else { return nil }
    let owned = Blocks(block)
    let filling = fetches.withLock { fetches -> Filling? in
      guard let slot = fetches.plan.slot(of: chunk), let fresh = owned.first,
        fetches.plan.ticket(ofSlot: slot) == number
      else { return nil }
      // A load that failed has left its block, which then serves the fetch in its place.
      let memory = fetches.plan.memory(ofSlot: slot) ?? fresh
      fetches.plan.assign(memory, to: slot)
      let lengthBytes = fetches.plan.lengthBytes(ofSlot: slot)
      return Filling(chunk: chunk, slot: slot, memory: memory, lengthBytes: lengthBytes)
    }
    if filling?.memory != block { memory.give(back: block) }
    return filling
  }

  /// Tells those who waited how far a chunk has come, and stores it once it is whole.
  func advance(_ filling: Filling) {
    let isComplete = filling.filledBytes == filling.lengthBytes
    let (waiters, isToKeep) = fetches.withLock { fetches in
      let waiters = fetches.plan.filled(filling.slot, to: filling.filledBytes)
      guard isComplete, !fetches.plan.isClean(filling.slot) else { return (waiters, false) }
      fetches.statistics.chunksFetched += 1
      guard disk != nil else {
        fetches.plan.markClean(filling.slot)
        return (waiters, false)
      }
      // Held until it is written: once it is not, the slot may be another chunk's.
      _ = fetches.plan.hold(filling.slot)
      return (waiters, true)
    }
    for waiter in waiters { waiter.cacheAnswered(nil) }
    offerToIndex(filling)
    if isToKeep { keep(filling) }
  }

  /// Writes a whole chunk to disk, and gives its hold back.
  private func keep(_ filling: Filling) {
    guard let disk else { return }
    workers.run(isUrgent: false) { [self] in
      disk.store(
        filling.chunk,
        of: identity(ofShard: Int(filling.chunk.shard)),
        UnsafeRawBufferPointer(start: filling.memory, count: filling.lengthBytes)
      )
      let (freed, waiters) = fetches.withLock { fetches in
        fetches.plan.markClean(filling.slot)
        fetches.plan.release(filling.slot)
        return (Blocks(fetches.plan.reapIfOrphan(filling.slot)), fetches.takeRoomWaiters())
      }
      freed.give(to: memory)
      for waiter in waiters { waiter.cacheAnswered(nil) }
      pump()
    }
  }

  /// Ends a fetch or a load: what it did not bring is given up, and who waited for that is told.
  ///
  /// - Parameters:
  ///   - chunks: What did not come.
  ///   - chunk: Any chunk of the same shard and plane.
  ///   - number: The fetch.
  ///   - isAhead: Whether it counted as read-ahead.
  ///   - result: Why the chunks did not come; after a success those who waited ask again.
  func finished(
    chunks: Range<Int32>,
    of chunk: ChunkID,
    number: FetchPlan.FetchNumber,
    isAhead: Bool,
    _ result: Result<Void, StoreError>
  ) {
    let failure: CacheError? =
      switch result {
      case .success: nil
      case .failure(let error): restate(error, ofShard: Int(chunk.shard), run: chunks)
      }
    let (freed, waiters, room) = fetches.withLock { fetches in
      fetches.open.removeValue(forKey: number)
      if isAhead { fetches.aheadCount -= 1 }
      let (waiters, freed) = fetches.plan.abandon(
        chunks,
        ofShard: chunk.shard,
        plane: chunk.plane,
        ticket: number
      )
      return (Blocks(freed), waiters, fetches.takeRoomWaiters())
    }
    freed.give(to: memory)
    for waiter in waiters { waiter.cacheAnswered(failure) }
    for waiter in room { waiter.cacheAnswered(nil) }
    pump()
  }

  /// Says a store's failure in the cache's terms, and remembers the ones that last.
  func restate(_ error: StoreError, ofShard shard: Int, run: Range<Int32>) -> CacheError {
    let object = shards[shard]
    switch error {
    case .cancelled:
      return .closed
    case .objectChanged(_, let listed, let found):
      let failure = CacheError.shardChanged(
        shard: object.key,
        detail: "listed with \(listed), now \(found)"
      )
      fail(shard: shard, for: failure)
      return failure
    default:
      let size = Int64(ChunkID.sizeBytes)
      let start = Int64(run.lowerBound) * size
      let end = max(start, min(object.sizeBytes, Int64(run.upperBound) * size))
      return .fetch(shard: object.key, range: start..<end, error)
    }
  }

  /// Makes a failure last for the life of the mount and drops what is held of the shard.
  func fail(shard: Int, for failure: CacheError) {
    let isNew = records.withLock { records in
      defer { records.failures[shard] = failure }
      return records.failures[shard] == nil
    }
    guard isNew else { return }
    let freed = fetches.withLock { Blocks($0.plan.evictAll(ofShard: Int32(shard))) }
    freed.give(to: memory)
    logger.warning(
      "\(failure)",
      metadata: ["event": "shard.changed", "shard": "\(shards[shard].key)"]
    )
  }

  // MARK: Read-ahead

  /// What a stream will read next of a shard.
  package struct Upcoming {
    package let shard: Int

    /// In the stored plane; nil where the shard can only be read whole.
    package let range: Range<Int64>?

    package init(shard: Int, range: Range<Int64>?) {
      self.shard = shard
      self.range = range
    }
  }

  /// Replaces what a stream will need next, nearest first.
  ///
  /// - Parameters:
  ///   - upcoming: As far as the read-ahead window reaches; empty ends the stream.
  ///   - stream: Names the reader, for example the number of its pass.
  package func readAhead(_ upcoming: [Upcoming], ofStream stream: Int) {
    var spans: [ReadAhead.Span] = []
    var bytesBefore: Int64 = 0
    for next in upcoming {
      guard let range = next.range, shards[next.shard].acceptsRanges else {
        // What can only be read whole is, and its index comes with it.
        wait(forSample: Int.max, ofShard: next.shard, Latch())
        continue
      }
      beginIndex(ofShard: next.shard)
      let bytes = shards[next.shard].sizeBytes
      let wanted = range.clamped(to: 0..<bytes)
      spans.append(
        ReadAhead.Span(
          shard: Int32(next.shard),
          plane: .stored,
          planeBytes: bytes,
          chunks: ChunkID.numbers(holding: wanted),
          isNear: bytesBefore < Self.nearBytes
        )
      )
      bytesBefore += Int64(wanted.count)
    }
    fetches.withLock { $0.readAhead.replace(spans, of: stream) }
    pump()
  }

  /// How far ahead chunks are brought from disk to memory: some 10 ms of a fast reader.
  private static let nearBytes: Int64 = 16 << 20

  /// Whether a shard's name promises a plain tar, so that fetching ahead of its index is no waste.
  package func isLikelyPlain(_ shard: Int) -> Bool {
    shards[shard].acceptsRanges && shards[shard].key.bytes.suffix(4).elementsEqual(".tar".utf8)
  }

  /// Starts as many fetches ahead as may be under way.
  func pump() {
    while true {
      var shard = 0
      var isStarted = false
      let orders = fetches.withLock { fetches -> Orders in
        var orders = Orders()
        guard !fetches.isClosed, fetches.aheadCount < settings.maxFetchCount else { return orders }
        guard let next = nextRun(&fetches.readAhead, fetches.plan) else { return orders }
        shard = Int(next.shard)
        isStarted = enter(next.chunks, ofShard: shard, isAhead: true, &fetches, &orders)
        if !isStarted { fetches.readAhead.putBack(next) }
        return orders
      }
      carryOut(orders, ofShard: shard, isAhead: true)
      guard isStarted else { return }
    }
  }

  private func nextRun(_ readAhead: inout ReadAhead, _ plan: FetchPlan) -> ReadAhead.Span? {
    readAhead.next { span in
      let identity = disk == nil || span.isNear ? nil : identity(ofShard: Int(span.shard))
      return plan.firstMissing(
        in: span.chunks,
        ofShard: span.shard,
        plane: span.plane,
        maxLength: settings.maxRunLength
      ) { chunk in
        guard let disk, let identity else { return false }
        return disk.holds(chunk, of: identity)
      }
    }
  }
}

extension ShardReader.Fetches {
  /// Those who found no room; they ask again whenever some may have been made.
  mutating func takeRoomWaiters() -> [any CacheWaiter] {
    guard !roomWaiters.isEmpty else { return [] }
    defer { roomWaiters = [] }
    return roomWaiters
  }
}

/// Blocks of memory on their way out of the lock.
///
/// Proof of `@unchecked Sendable`: who holds them is their only owner.
struct Blocks: @unchecked Sendable {
  private var blocks: [UnsafeMutableRawPointer] = []
  private var single: UnsafeMutableRawPointer?

  init() {}

  init(_ block: UnsafeMutableRawPointer?) {
    single = block
  }

  init(_ blocks: [UnsafeMutableRawPointer]) {
    self.blocks = blocks
  }

  var first: UnsafeMutableRawPointer? { single ?? blocks.first }

  mutating func add(_ block: UnsafeMutableRawPointer?) {
    guard let block else { return }
    blocks.append(block)
  }

  mutating func add(_ more: [UnsafeMutableRawPointer]) {
    blocks += more
  }

  func give(to memory: ChunkMemory) {
    if let single { memory.give(back: single) }
    for block in blocks { memory.give(back: block) }
  }
}
