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

  /// What the readers' progress has asked for already.
  struct Progress {
    /// Read-ahead is worked out again when a position outside is read.
    var settled = 0..<0

    /// How far ahead bytes are fetched; grows while the reader goes forward.
    var windowBytes: Int64 = 0

    /// Positions beyond `settled` that still count as going forward: several workers that share a
    /// rank are batches apart.
    private static let nearCount = 512

    /// Takes up that a position was read.
    ///
    /// - Parameters:
    ///   - position: Of the pass.
    ///   - firstBytes: The window once a second read shows that the reader goes forward.
    ///   - maxBytes: What it grows to.
    /// - Returns: The window to work out, 0 for none; nil where all is settled.
    mutating func window(at position: Int, firstBytes: Int64, maxBytes: Int64) -> Int64? {
      guard !settled.contains(position) else { return nil }
      let slack = Self.nearCount + settled.count * 2
      let isForward =
        position >= settled.lowerBound && position - settled.upperBound < slack
        && settled.upperBound > 0
      if isForward {
        windowBytes = min(maxBytes, max(firstBytes, windowBytes * 4))
      } else {
        // A jump: whoever reads single samples wants nothing else fetched.
        windowBytes = 0
      }
      settled = position..<position + 1
      return windowBytes
    }

    mutating func settle(_ positions: Range<Int>) {
      settled = positions
    }
  }

  let number: Int
  let kind: Kind
  private let order: Mutex<RankOrder?>
  let progress = Mutex(Progress())
  let listing = Mutex(Progress())

  init(number: Int, kind: Kind, order: RankOrder?) {
    self.number = number
    self.kind = kind
    self.order = Mutex(order)
  }

  var split: Int {
    switch kind {
    case .rank(let split, _, _), .shard(let split, _, _): split
    }
  }

  /// The directory that lists the pass.
  var directory: Node {
    switch kind {
    case .rank(let split, let rank, _): .rank(split: split, rank: rank)
    case .shard: .pass(number)
    }
  }

  /// What stands at a position of a rank's order; nil where the pass has none of its own.
  func place(at position: Int) -> Place? {
    order.withLock { $0?.place(at: position) }
  }

  func learn(sampleCount: Int, isExact: Bool, ofPlace place: Int) -> Bool {
    order.withLock { order in
      order?.learn(sampleCount: sampleCount, isExact: isExact, ofShard: place) ?? false
    }
  }

  var length: Int? { order.withLock { $0?.length } }

  /// A copy to walk along without holding the lock.
  var snapshot: RankOrder? { order.withLock { $0 } }
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
