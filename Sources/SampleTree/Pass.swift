import SampleOrder
import Synchronization

/// One walk over samples: a rank's epoch, or a shard's samples as they lie.
///
/// Inode numbers carry a pass's number, so that a position means one sample for as long as the
/// kernel may remember it.
final class Pass: Sendable {
  enum Kind: Hashable {
    case rank(split: Int, rank: Int, epoch: Int)

    /// The natural order of one shard; `shard` is the cache's number.
    case shard(split: Int, place: Int, shard: Int)
  }

  let number: Int
  let kind: Kind
  let progress = Mutex(ReadingProgress())
  private let known: Mutex<Known>

  /// The order, and how much of it is counted.
  private struct Known {
    /// Nil where the pass has none of its own.
    var order: RankOrder?
    var countedShards = 0
    var countedSamples = 0
  }

  init(number: Int, kind: Kind, order: RankOrder?) {
    self.number = number
    self.kind = kind
    self.known = Mutex(Known(order: order))
  }

  var split: Int {
    switch kind {
    case .rank(let split, _, _), .shard(let split, _, _): split
    }
  }

  var isOfRank: Bool { if case .rank = kind { true } else { false } }

  /// The directory that lists the pass.
  var directory: Node {
    switch kind {
    case .rank(let split, let rank, _): .rank(split: split, rank: rank)
    case .shard: .pass(number)
    }
  }

  /// What stands at a position of a rank's order; nil where the pass has none of its own.
  func place(at position: Int) -> Place? {
    known.withLock { $0.order?.place(at: position) }
  }

  /// Takes up what is known of a shard; another thread may have done so already.
  func learn(sampleCount: Int, isExact: Bool, ofPlace place: Int) {
    known.withLock { known in
      let isNew = known.order?.learn(sampleCount: sampleCount, isExact: isExact, ofShard: place)
      guard isNew == true, isExact else { return }
      known.countedShards += 1
      known.countedSamples += sampleCount
    }
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

  /// The pass of that kind, made at its first use.
  ///
  /// - Returns: nil where inode numbers have no room for another pass.
  func pass(_ kind: Pass.Kind, make: () -> RankOrder?) -> Pass? {
    let known = table.withLock { table in table.numbers[kind].flatMap { table.passes[$0] } }
    if let known { return known }
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
