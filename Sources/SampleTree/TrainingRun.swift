import Instruments
package import SampleOrder
import Synchronization

/// How far a training run is: which epoch each rank walks through, and what it has consumed of it.
///
/// Begins from a cursor and can be asked for the present one at any time. What a rank's reads and
/// commits mean is decided by its `RankBookmark`; here stands which pass is a rank's present one.
package final class TrainingRun: Sendable {
  /// Makes the order of an epoch out of what is known of a split's shards by now.
  package typealias ShapeOfSplit = @Sendable (_ split: Int) -> DatasetShape

  private struct State {
    var cursor: Cursor

    /// The present pass of each rank that was asked for, by split.
    var present: [[Int: Pass]]

    /// Every directory that a rank had and the kernel may still hold, oldest first.
    var folders: [RankName: [Int]] = [:]

    /// Of each rank that was asked for.
    var meters: [RankName: RankMeter] = [:]

    /// The orders made last, by split and epoch.
    var orders: [OrderName: EpochOrder] = [:]
    var generation = 0
  }

  /// A rank of a split, by numbers.
  package struct RankName: Hashable, Sendable {
    package let split: Int
    package let rank: Int
  }

  private struct OrderName: Hashable {
    let split: Int
    let epoch: Int
  }

  private static let maxOrders = 8
  private static let maxFolders = 8

  /// By split number.
  package let splitNames: [String]

  /// Whether ranks are made equal by giving samples again.
  let repeats: Bool
  package let worldSize: Int

  /// Each rank's epochs end after so many samples.
  private let maxRankSamples: Int
  private let passes: PassTable
  private let shape: ShapeOfSplit
  private let state: Mutex<State>

  /// Counts what changes the cursor, so that nobody saves the same one twice.
  private let changes = Atomic<Int>(0)

  /// Takes up a run where a cursor says.
  ///
  /// - Parameters:
  ///   - cursor: Resumed at the present world size; holds every split.
  ///   - splitNames: The cursor's splits by number.
  ///   - maxRankSamples: Each rank's epochs end after so many; nil where its samples do.
  ///   - shape: What is known of a split's shards.
  package init(
    cursor: Cursor,
    splitNames: [String],
    maxRankSamples: Int? = nil,
    shape: @escaping ShapeOfSplit
  ) {
    self.maxRankSamples = maxRankSamples ?? Int.max
    self.splitNames = splitNames
    self.shape = shape
    worldSize = cursor.worldSize ?? 1
    repeats = cursor.equalize == .repeat
    passes = PassTable()
    state = Mutex(
      State(cursor: cursor, present: Array(repeating: [:], count: splitNames.count))
    )
  }

  var passTable: PassTable { passes }

  // MARK: Orders

  /// The order of an epoch as the run leaves it, or, where it is fresh, as a first start gives it.
  ///
  /// - Throws: `OrderError.countsWanted` where shards must be counted before.
  package func order(split: Int, epoch: Int, isFresh: Bool = false) throws(OrderError) -> EpochOrder
  {
    let name = OrderName(split: split, epoch: epoch)
    let (known, cursor) = state.withLock { state in
      (isFresh ? nil : state.orders[name], state.cursor)
    }
    if let known { return known }
    guard let saved = cursor.splits[splitNames[split]] else {
      preconditionFailure("no split \(split) in the cursor")
    }
    if isFresh {
      let parameters = try OrderParameters(
        shuffle: cursor.shuffle,
        seed: cursor.seed,
        worldSize: saved.present.worldSize,
        lanes: saved.present.lanes,
        shuffleWindow: cursor.shuffleWindow,
        partition: saved.partition,
        equalize: cursor.equalize
      )
      return limited(try EpochOrder(parameters, epoch: epoch, shape: shape(split, of: saved)))
    }
    let shape = shape(split, of: saved)
    let order = limited(try cursor.order(of: saved, epoch: epoch, shape: shape))
    // One that lacks counts is made again: by then more of them are known.
    guard shape.sampleCount != nil else { return order }
    state.withLock { state in
      if state.orders.count >= Self.maxOrders { state.orders = [:] }
      state.orders[name] = order
    }
    return order
  }

  private func limited(_ order: EpochOrder) -> EpochOrder {
    var order = order
    order.maxRankSamples = maxRankSamples
    return order
  }

  /// What is known of a split's shards; those that are left out have no samples.
  private func shape(_ split: Int, of saved: SplitCursor) -> DatasetShape {
    var shape = shape(split)
    for place in saved.skippedShards {
      // A cursor's numbers are the dataset's, whose fingerprint was compared.
      try? shape.set(.exactly(0), ofShard: place)
    }
    return shape
  }

  // MARK: Shards left out

  /// The shards of a split that are left out, by place.
  package func skippedShards(ofSplit split: Int) -> [Int] {
    state.withLock { $0.cursor.splits[splitNames[split]]?.skippedShards ?? [] }
  }

  /// Leaves a shard out from now on, in later mounts too.
  package func skip(_ place: Int, ofSplit split: Int) {
    let name = splitNames[split]
    state.withLock { state in
      var skipped = Set(state.cursor.splits[name]?.skippedShards ?? [])
      skipped.insert(place)
      state.cursor.splits[name]?.skippedShards = skipped.sorted()
      state.orders = state.orders.filter { $0.key.split != split }
    }
    noteChange()
  }

  // MARK: Passes

  /// The pass that a rank's directory lists now.
  func present(split: Int, rank: Int) throws(OrderError) -> Pass? {
    if let pass = state.withLock({ $0.present[split][rank] }) { return pass }
    let saved = state.withLock { state in
      state.cursor.splits[splitNames[split]]?.present.ranks[rank] ?? Progress()
    }
    let order = try self.order(split: split, epoch: saved.epoch).rank(rank)
    return begin(RankBookmark(saved, in: order), order, split: split, rank: rank, replacing: nil)
  }

  /// Enters a pass as a rank's present one, unless somebody was faster.
  private func begin(
    _ bookmark: RankBookmark,
    _ order: RankOrder,
    split: Int,
    rank: Int,
    replacing old: Pass?
  ) -> Pass? {
    state.withLock { state in
      let present = state.present[split][rank]
      guard present === old else { return present }
      state.generation += 1
      let kind = Pass.Kind.rank(
        split: split,
        rank: rank,
        epoch: order.epoch,
        generation: state.generation
      )
      let name = RankName(split: split, rank: rank)
      let meter = state.meters[name] ?? RankMeter()
      state.meters[name] = meter
      guard let pass = passes.add(kind, order: order, bookmark: bookmark, meter: meter) else {
        return nil
      }
      state.present[split][rank] = pass
      var folders = state.folders[name] ?? []
      folders.append(pass.number)
      // So many epochs later nobody is at work in a pass; its order takes bytes for every shard.
      if folders.count > Self.maxFolders { passes[folders.removeFirst()]?.retire() }
      state.folders[name] = folders
      old?.leave()
      return pass
    }
  }

  /// The directories that the kernel may know a rank by.
  func folders(split: Int, rank: Int) -> [Int] {
    state.withLock { $0.folders[RankName(split: split, rank: rank)] ?? [] }
  }

  /// Goes on to the next epoch, if the present one is consumed.
  ///
  /// - Returns: Whether the rank's directory now lists another pass.
  func turn(split: Int, rank: Int) throws(OrderError) -> Bool {
    guard let pass = try present(split: split, rank: rank), pass.isConsumed,
      let bookmark = pass.bookmark
    else { return false }
    let order = try self.order(split: split, epoch: bookmark.progress.epoch + 1).rank(rank)
    var next = bookmark
    next.turn(to: order)
    // After the change: who saves in between must not take the old one for the new.
    defer { noteChange() }
    return begin(next, order, split: split, rank: rank, replacing: pass) != nil
  }

  func noteChange() {
    changes.add(1, ordering: .relaxed)
  }

  // MARK: Commits

  /// What a commit means for a rank's directory.
  enum Effect {
    case noted

    /// Nothing is left of the pass.
    case end(Pass)

    /// Another pass is listed now.
    case moved
  }

  /// Takes up what a trainer wrote to a rank's `.cursor`.
  ///
  /// - Returns: What comes of it for the rank's directory.
  func commit(
    _ request: CommitRequest,
    split: Int,
    rank: Int,
    milliseconds: Int64
  ) throws(RunError) -> Effect {
    do {
      guard let pass = try present(split: split, rank: rank), let bookmark = pass.bookmark else {
        return .noted
      }
      let epoch = request.epoch ?? bookmark.progress.epoch
      guard epoch != bookmark.progress.epoch else {
        let isEnd = try pass.commit(request.position, at: milliseconds)
        let consumed = pass.bookmark?.progress.consumed.count ?? 0
        pass.meter?.consumed(max(0, consumed - bookmark.progress.consumed.count))
        noteChange()
        return isEnd ? .end(pass) : .noted
      }
      var order = try self.order(split: split, epoch: epoch).rank(rank)
      // The order may be older than what is counted by now.
      let shape = shape(split)
      for shard in 0..<shape.shardCount {
        let count = shape[shard]
        order.learn(sampleCount: count.lowerBound, isExact: count.isExact, ofShard: shard)
      }
      var moved = bookmark
      try moved.commit(request.position, in: order, at: milliseconds)
      _ = begin(moved, order, split: split, rank: rank, replacing: pass)
      noteChange()
      return .moved
    } catch let error as CommitError {
      throw .commit(error, epoch: request.epoch)
    } catch let error as OrderError {
      throw .order(error, split: split)
    } catch {
      preconditionFailure("\(error)")
    }
  }

  /// Moves ranks to where a whole cursor document says.
  ///
  /// - Parameters:
  ///   - document: Of this run: the same order, dataset and earlier legs.
  ///   - only: A rank's `.cursor` moves that rank of that split alone; nil moves all it holds.
  /// - Returns: The ranks whose directories now list another pass.
  /// - Throws: `RunError`; no rank has moved then.
  func move(
    to document: Cursor,
    only: RankName?
  ) throws(RunError) -> [RankName] {
    let cursor = state.withLock { $0.cursor }
    do throws(CursorError) {
      try cursor.checkRun(document)
    } catch {
      throw .cursor(error)
    }
    var moves: [(name: RankName, pass: Pass, bookmark: RankBookmark, order: RankOrder)] = []
    for (split, name) in splitNames.enumerated() where only.map({ $0.split == split }) ?? true {
      guard let saved = document.splits[name] else { continue }
      for rank in 0..<worldSize
      where document.holds(rank: rank) && (only.map { $0.rank == rank } ?? true) {
        let progress = saved.present.ranks[rank]
        do throws(OrderError) {
          guard let pass = try present(split: split, rank: rank), let bookmark = pass.bookmark
          else { continue }
          let order = try self.order(split: split, epoch: progress.epoch).rank(rank)
          var next = bookmark
          next.move(to: progress, in: order)
          moves.append((RankName(split: split, rank: rank), pass, next, order))
        } catch {
          throw .order(error, split: split)
        }
      }
    }
    defer { noteChange() }
    return moves.compactMap { move in
      let (split, rank) = (move.name.split, move.name.rank)
      let pass = begin(move.bookmark, move.order, split: split, rank: rank, replacing: move.pass)
      return pass == nil ? nil : move.name
    }
  }

  // MARK: The cursor

  /// How often the cursor has changed; the same number means the same cursor.
  package var changeCount: Int { changes.load(ordering: .acquiring) }

  /// The cursor as it is now.
  package func cursor() -> Cursor {
    var (cursor, present) = state.withLock { ($0.cursor, $0.present) }
    for (split, name) in splitNames.enumerated() {
      for (rank, pass) in present[split] {
        guard var progress = pass.bookmark?.progress else { continue }
        // One that --limit shortened is not the epoch's.
        if maxRankSamples == Int.max { progress.length = pass.length ?? progress.length }
        cursor.splits[name]?.present.ranks[rank] = progress
      }
    }
    return cursor
  }
}

extension TrainingRun {
  /// The ranks that were read in this mount.
  ///
  /// - Parameter heldBack: How long the store has held requests back so far, in nanoseconds.
  /// - Returns: By split and number.
  package func activeRanks(heldBack: Int) -> [ActiveRank] {
    let present = state.withLock { $0.present }
    let now = MonotonicTime.now
    return splitNames.indices.flatMap { split in
      present[split].sorted { $0.key < $1.key }.compactMap { rank, pass in
        guard let meter = pass.meter, meter.isActive, let progress = pass.bookmark?.progress else {
          return nil
        }
        let length = pass.length
        return ActiveRank(
          split: splitNames[split],
          rank: rank,
          epoch: progress.epoch,
          // An epoch that was left is consumed up to numbers that no sample has.
          position: min(progress.consumed.next, length ?? Int.max),
          consumedCount: min(progress.consumed.count, length ?? Int.max),
          length: length,
          servedCount: meter.sampleCount,
          waitingCount: meter.openCount,
          waits: meter.waits(at: now, heldBack: heldBack)
        )
      }
    }
  }
}

/// Why a write to a cursor file was not taken.
package enum RunError: Error, Sendable {
  /// A position that is not the epoch's; nil for the present one.
  case commit(CommitError, epoch: Int?)
  case cursor(CursorError)
  case order(OrderError, split: Int)

  /// Neither a position nor a cursor document.
  case notACursor
}

extension RunError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .commit(let error, _): "\(error)"
    case .cursor(let error): "\(error)"
    case .order(let error, _): "\(error)"
    case .notACursor: "write a position like 12800, an epoch and one like 3:12800, or a cursor"
    }
  }
}
