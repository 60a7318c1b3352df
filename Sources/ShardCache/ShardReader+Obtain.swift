import Remote
import Synchronization

extension ShardReader {
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
}

extension ShardReader.Fetches {
  /// Notes that a reader waits for a fetch, and gives its ticket where that is news to the store.
  fileprivate mutating func raise(_ number: FetchPlan.FetchNumber) -> (any FetchTicket)? {
    guard let fetch = open[number], fetch.isAhead, !fetch.isRaised else { return nil }
    open[number]?.isRaised = true
    return fetch.ticket
  }
}
