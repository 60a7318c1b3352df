import SampleOrder
import Synchronization

/// One walk over samples: a rank's epoch, a shard's samples as they lie, or a split's by class.
///
/// Inode numbers carry a pass's number, so that a position means one sample for as long as the
/// kernel may remember it.
final class Pass: Sendable {
  enum Kind: Hashable {
    /// A rank's walk in the run; generations tell apart what moves and turns begin.
    case rank(split: Int, rank: Int, epoch: Int, generation: Int)

    /// `/.epochs/<e>`, which lists splits, and `/.epochs/<e>/<split>`, which lists ranks.
    case epoch(Int)
    case epochSplit(epoch: Int, split: Int)

    /// A whole epoch as a fresh start gives it.
    case epochRank(epoch: Int, split: Int, rank: Int)

    /// The natural order of one shard; `shard` is the cache's number.
    case shard(split: Int, place: Int, shard: Int)

    /// The samples of a split by class.
    case classes(split: Int)
  }

  let number: Int
  let kind: Kind
  let readings = Mutex(Readings())
  let pushes = Mutex(SmallFieldPushes())
  let fieldUse = Mutex(FieldUse())

  /// The rank's, through all its passes; nil where reading does not count.
  let meter: RankMeter?
  private let known: Mutex<Known>

  /// The order, and how much of it is counted.
  private struct Known {
    /// Nil where the pass has none of its own.
    var order: RankOrder?
    var countedShards = 0
    var countedSamples = 0

    /// What the rank has consumed; nil where reading does not count.
    var bookmark: RankBookmark?

    /// What was consumed when the pass began, and is not listed.
    var unlisted = Consumed.none

    /// Whether it was told that nothing is left.
    var isEndTold = false

    /// Whether a listing came to its end.
    var isListed = false

    /// Whether another pass is the rank's present one, so that reading does not count any more.
    var isLeft = false

    /// Whether nothing is left, told for the first time.
    mutating func tellsEnd() -> Bool {
      guard !isEndTold, let order, bookmark?.isConsumed(in: order) == true else { return false }
      isEndTold = true
      return true
    }
  }

  init(
    number: Int,
    kind: Kind,
    order: RankOrder?,
    bookmark: RankBookmark? = nil,
    meter: RankMeter? = nil
  ) {
    self.number = number
    self.kind = kind
    self.meter = meter
    var known = Known(order: order)
    known.bookmark = bookmark
    known.unlisted = bookmark?.progress.consumed ?? .none
    self.known = Mutex(known)
  }

  var split: Int {
    switch kind {
    case .rank(let split, _, _, _), .shard(let split, _, _), .epochRank(_, let split, _),
      .epochSplit(_, let split), .classes(let split):
      split
    case .epoch: 0
    }
  }

  /// The directory that lists the pass.
  var directory: Node { .pass(number) }

  /// The epoch it walks through; nil for a shard's own order, for classes and for folders of passes.
  var epoch: Int? {
    switch kind {
    case .rank(_, _, let epoch, _), .epochRank(let epoch, _, _): epoch
    case .epoch, .epochSplit, .shard, .classes: nil
    }
  }

  /// The split and rank that the pass counts for; nil where reading does not count.
  var rankName: TrainingRun.RankName? {
    guard case .rank(let split, let rank, _, _) = kind else { return nil }
    return TrainingRun.RankName(split: split, rank: rank)
  }

  /// What stands at a position of a rank's order; nil where the pass has none of its own.
  func place(at position: Int) -> Place? {
    known.withLock { $0.order?.place(at: position) }
  }

  /// Whether samples that follow each other lie apart in their shards.
  var isPermuted: Bool { known.withLock { $0.order?.isPermuted == true } }

  /// Takes up what is known of a shard; another thread may have done so already.
  ///
  /// - Returns: Whether it turns out that nothing is left.
  func learn(sampleCount: Int, isExact: Bool, ofPlace place: Int) -> Bool {
    known.withLock { known in
      let isNew = known.order?.learn(sampleCount: sampleCount, isExact: isExact, ofShard: place)
      guard isNew == true, isExact else { return false }
      known.countedShards += 1
      known.countedSamples += sampleCount
      return known.tellsEnd()
    }
  }

  // MARK: Progress

  /// The first position from the given one on that the pass lists; beyond its end where none is.
  func firstListed(from position: Int) -> Int {
    known.withLock { $0.order?.firstLeft(from: position, $0.unlisted) ?? position }
  }

  func isFilledUp(_ position: Int) -> Bool {
    known.withLock { $0.order?.isFilledUp(position) ?? false }
  }

  var bookmark: RankBookmark? { known.withLock { $0.bookmark } }

  /// Whether nothing of the epoch is left; false while that is not known.
  var isConsumed: Bool {
    known.withLock { known in
      guard let order = known.order, let bookmark = known.bookmark else { return false }
      return bookmark.isConsumed(in: order)
    }
  }

  /// What became of a sample that was served.
  enum Served {
    /// It counts already, or reading does not count.
    case nothing

    /// It counts since now.
    case counted

    /// It counts since now, and so does all before it.
    case countedUpTo

    /// Nothing is left since now.
    case end
  }

  /// Counts a sample as consumed.
  func serve(_ position: Int) -> Served {
    known.withLock { known in
      // Most reads are of a sample that counts already.
      guard !known.isLeft, let consumed = known.bookmark?.progress.consumed,
        !consumed.contains(position), let order = known.order
      else { return .nothing }
      let next = consumed.next
      guard known.bookmark?.served(position, in: order) == true else { return .nothing }
      guard known.bookmark?.progress.consumed.next != next else { return .counted }
      return known.tellsEnd() ? .end : .countedUpTo
    }
  }

  /// The nearest position before one that is neither consumed nor inherited; nil where the nearest
  /// that is not inherited is consumed.
  func leftBefore(_ position: Int) -> Int? {
    known.withLock { known in
      guard let order = known.order, let bookmark = known.bookmark else { return nil }
      for position in stride(from: position - 1, through: max(0, position - 64), by: -1) {
        if bookmark.progress.consumed.contains(position) { return nil }
        if !order.isInherited(position) { return position }
      }
      return nil
    }
  }

  /// The first position from the given one on that must still be read before the epoch is consumed;
  /// nil where reading does not end the epoch, or nobody has begun with it.
  func firstToRead(from position: Int) -> Int? {
    known.withLock { known in
      guard let order = known.order, let bookmark = known.bookmark, !known.isLeft,
        !bookmark.isCommitting, !known.isEndTold,
        known.isListed || !bookmark.progress.consumed.isEmpty
      else { return nil }
      return order.firstLeft(from: position, bookmark.progress.consumed)
    }
  }

  /// Notes that a listing came to its end, so that whoever reads knows all that is left.
  func noteListed() {
    known.withLock { $0.isListed = true }
  }

  /// Notes that the rank lists another pass now.
  func leave() {
    known.withLock { $0.isLeft = true }
  }

  /// Lets go of the order, when nobody can still be at work in the pass.
  func retire() {
    known.withLock { $0.order = nil }
  }

  var isRetired: Bool { known.withLock { $0.isLeft && $0.order == nil } }

  /// Takes up a trainer's commit.
  ///
  /// - Returns: Whether nothing is left since now.
  func commit(_ position: Int, at milliseconds: Int64) throws(CommitError) -> Bool {
    let result = known.withLock { known -> Result<Bool, CommitError> in
      guard let order = known.order, var bookmark = known.bookmark else { return .success(false) }
      do throws(CommitError) {
        try bookmark.commit(position, in: order, at: milliseconds)
      } catch {
        return .failure(error)
      }
      known.bookmark = bookmark
      known.isEndTold = false
      return .success(known.tellsEnd())
    }
    return try result.get()
  }

  var length: Int? { known.withLock { $0.order?.length } }

  /// A copy to walk along without holding the lock.
  var snapshot: RankOrder? { known.withLock { $0.order } }

  /// The next shards that are not counted, by place, nearest first.
  ///
  /// - Parameters:
  ///   - position: From there on, or from the first uncounted shard before it.
  ///   - limit: So many at most, of all lanes together.
  /// - Returns: Places in the split.
  func uncountedPlaces(from position: Int, limit: Int) -> [Int] {
    known.withLock { known in
      guard let order = known.order, limit > 0 else { return [] }
      let ownLimit = (limit + order.laneCount - 1) / order.laneCount
      var places: [Int] = []
      for lane in 0..<order.laneCount where places.count < limit {
        var rest = min(ownLimit, limit - places.count)
        order.forEachUpcomingSlice(lane: lane, from: position) { slice in
          guard slice.upperBound == nil else { return true }
          places.append(slice.shard)
          rest -= 1
          return rest > 0
        }
      }
      return places
    }
  }

  /// How many shards must still be counted before a position can be found, if the shards to come
  /// are like those before.
  func shardsToCount(before position: Int) -> Int {
    known.withLock { known in
      guard let order = known.order else { return 0 }
      let lanes = min(position, order.laneCount - 1) + 1
      guard known.countedSamples > 0 else { return lanes - min(lanes, known.countedShards) }
      // Rounded up, and without multiplying what a name may make huge.
      let mean = max(1, known.countedSamples / known.countedShards)
      return max(0, position / mean + lanes - known.countedShards)
    }
  }
}

/// The passes of a mount, by number; 0 is none.
final class PassTable: Sendable {
  private struct Table {
    var passes: [Pass?] = [nil]
    var numbers: [Pass.Kind: Int] = [:]
  }

  private let table = Mutex(Table())

  subscript(number: Int) -> Pass? {
    table.withLock { $0.passes.indices.contains(number) ? $0.passes[number] : nil }
  }

  /// Enters a pass that nobody can have entered before.
  ///
  /// - Returns: nil where inode numbers have no room for another pass.
  func add(
    _ kind: Pass.Kind,
    order: RankOrder,
    bookmark: RankBookmark,
    meter: RankMeter
  ) -> Pass? {
    table.withLock { table in
      guard table.passes.count < Node.maxPasses else { return nil }
      let pass = Pass(
        number: table.passes.count,
        kind: kind,
        order: order,
        bookmark: bookmark,
        meter: meter
      )
      table.passes.append(pass)
      return pass
    }
  }

  /// Whether inode numbers have no room for another pass.
  var isFull: Bool { table.withLock { $0.passes.count >= Node.maxPasses } }

  /// The pass of that kind, if it was made.
  func known(_ kind: Pass.Kind) -> Pass? {
    table.withLock { table in table.numbers[kind].flatMap { table.passes[$0] } }
  }

  /// The pass of that kind, made at its first use.
  ///
  /// - Returns: nil where inode numbers have no room for another pass.
  func pass(_ kind: Pass.Kind, make: () -> RankOrder?) -> Pass? {
    if let known = known(kind) { return known }
    // Made outside the lock: it takes time in proportion to the shards. Two may make it, one stays.
    let order = make()
    return table.withLock { table in
      if let number = table.numbers[kind] { return table.passes[number] }
      guard table.passes.count < Node.maxPasses else { return nil }
      let pass = Pass(number: table.passes.count, kind: kind, order: order)
      table.passes.append(pass)
      table.numbers[kind] = pass.number
      return pass
    }
  }
}
