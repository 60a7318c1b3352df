/// The saved place: all that defines the order, and what each rank has consumed.
package struct Cursor: Hashable, Sendable {
  package static let formatVersion = 1

  /// Raised if the same inputs were ever to give another order.
  package static let orderVersion = 1

  /// Counts the saves, so that of two generations the later is known.
  package var sequence = 0

  package var shuffle: OrderParameters.Shuffle
  package var seed: UInt64
  package var shuffleWindow: Int
  package var equalize: OrderParameters.Equalize?

  /// What `--lanes` said at the fresh start; nil for the default.
  package var lanesAsked: Int?

  /// The ranks whose progress it holds, ascending; nil for all.
  package var ranks: [Int]?

  /// By name.
  package var splits: [String: SplitCursor]

  package init(
    shuffle: OrderParameters.Shuffle = .none,
    seed: UInt64 = 0,
    shuffleWindow: Int = 1,
    equalize: OrderParameters.Equalize? = nil,
    lanesAsked: Int? = nil,
    ranks: [Int]? = nil,
    splits: [String: SplitCursor] = [:]
  ) {
    self.shuffle = shuffle
    self.seed = seed
    self.shuffleWindow = shuffleWindow
    self.equalize = equalize
    self.lanesAsked = lanesAsked
    self.ranks = ranks
    self.splits = splits
  }

  /// The world size of the present leg, the same for all splits; nil without any split.
  package var worldSize: Int? { splits.values.first?.present.worldSize }

  /// What defines a split's order now.
  ///
  /// - Throws: `CursorError.order`.
  package func parameters(of split: SplitCursor) throws(CursorError) -> OrderParameters {
    do {
      return try OrderParameters(
        shuffle: shuffle,
        seed: seed,
        worldSize: split.present.worldSize,
        lanes: split.present.lanes,
        shuffleWindow: shuffleWindow,
        partition: split.partition,
        equalize: equalize
      )
    } catch {
      throw .order(error)
    }
  }

  /// Works out an epoch of a split as the cursor leaves it.
  ///
  /// - Throws: `OrderError`, as the order does.
  package func order(
    of split: SplitCursor,
    epoch: Int,
    shape: DatasetShape
  ) throws(OrderError) -> EpochOrder {
    let parameters = try OrderParameters(
      shuffle: shuffle,
      seed: seed,
      worldSize: split.present.worldSize,
      lanes: split.present.lanes,
      shuffleWindow: shuffleWindow,
      partition: split.partition,
      equalize: equalize
    )
    return try EpochOrder(parameters, epoch: epoch, shape: shape, legs: split.earlier)
  }

  /// Begins a leg at a world size, unless it is the present one.
  ///
  /// Every rank begins in the oldest epoch that some rank has not left.
  ///
  /// - Throws: `CursorError.incomplete`, `.order`; nothing has changed then.
  package mutating func resume(atWorldSize worldSize: Int) throws(CursorError) {
    var resumed = splits
    for (name, split) in splits where split.present.worldSize != worldSize {
      if let ranks {
        throw .incomplete(ranks: ranks, worldSize: split.present.worldSize, wanted: worldSize)
      }
      let parameters = try parameters(of: split)
      do {
        let next = try parameters.resumed(atWorldSize: worldSize, lanesAsked: lanesAsked)
        resumed[name] = try split.resumed(atWorldSize: worldSize, lanes: next.lanes)
      } catch {
        throw .order(error)
      }
    }
    splits = resumed
  }

  /// The same with the progress of some ranks alone, for example for one rank's `.cursor`.
  package func holding(only held: [Int]) -> Cursor {
    var cursor = self
    cursor.ranks = held.sorted()
    for (name, split) in splits {
      let epoch = held.map { split.present.ranks[$0].epoch }.min() ?? 0
      for rank in split.present.ranks.indices where !held.contains(rank) {
        cursor.splits[name]?.present.ranks[rank] = Progress(epoch: epoch)
      }
    }
    return cursor
  }

  /// Whether it holds a rank's progress.
  package func holds(rank: Int) -> Bool {
    ranks?.contains(rank) ?? (0..<(worldSize ?? 0)).contains(rank)
  }

  /// Refuses a split whose shards are other than they were.
  ///
  /// - Throws: `CursorError.otherDataset`.
  package func check(split name: String, fingerprint: String) throws(CursorError) {
    guard let split = splits[name], split.fingerprint != fingerprint else { return }
    throw .otherDataset(split: name, saved: split.fingerprint, present: fingerprint)
  }
}

/// What a cursor knows of one split.
package struct SplitCursor: Hashable, Sendable {
  /// Of the split's shards: keys, sizes, ETags.
  package var fingerprint: String

  /// What was chosen, by hand or by `auto`.
  package var partition: OrderParameters.Partition

  /// Shards that `--skip-unreadable` leaves out, ascending.
  package var skippedShards: [Int]

  /// How many samples its shards hold, as far as that was known.
  package var counts = KnownCounts()

  /// What was read at other world sizes, as far as it still matters; oldest first.
  package var earlier: [Leg]

  /// The leg under way.
  package var present: Leg

  package init(
    fingerprint: String,
    partition: OrderParameters.Partition,
    skippedShards: [Int] = [],
    earlier: [Leg] = [],
    present: Leg
  ) {
    self.fingerprint = fingerprint
    self.partition = partition
    self.skippedShards = skippedShards
    self.earlier = earlier
    self.present = present
  }

  /// The oldest epoch that some rank has not left.
  package var oldestEpoch: Int { present.ranks.map(\.epoch).min() ?? 0 }

  func resumed(atWorldSize worldSize: Int, lanes: Int) throws(OrderError) -> SplitCursor {
    var next = self
    let oldest = oldestEpoch
    next.earlier = Array(
      (earlier + [present]).drop { leg in
        leg.ranks.allSatisfy {
          $0.epoch < oldest || ($0.epoch == oldest && $0.consumed.isEmpty)
        }
      }
    )
    next.present = try Leg(
      worldSize: worldSize,
      lanes: lanes,
      ranks: Array(repeating: Progress(epoch: oldest), count: worldSize)
    )
    return next
  }
}
