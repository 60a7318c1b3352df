import Instruments
import ShardCache
import Synchronization

/// How many samples one rank was given since the mount, and what its readers waited for.
///
/// A read that is answered at once touches nothing here but, with a sample's first, one counter.
package final class RankMeter: Sendable {
  private struct Waits {
    /// Requests of the rank that wait for bytes.
    var openCount = 0

    /// Since when there have been some without a break, and how long the store had held requests
    /// back by then.
    var since = MonotonicTime(nanoseconds: 0)
    var heldBackBefore = 0

    var past = RankWaits()

    func waits(at now: MonotonicTime, heldBack: Int) -> RankWaits {
      guard openCount > 0 else { return past }
      let waited = max(0, now.nanoseconds - since.nanoseconds)
      let throttled = min(waited, max(0, heldBack - heldBackBefore))
      var waits = past
      waits.throttleNanoseconds += throttled
      waits.networkNanoseconds += waited - throttled
      return waits
    }
  }

  private let samples = Atomic<Int>(0)

  /// Monotonic nanoseconds of the rank's first sample or wait; 0 while there was none.
  private let firstSeen = Atomic<Int>(0)
  private let waits = Mutex(Waits())

  init() {}

  // MARK: Counting

  /// Samples have come to count as consumed.
  func consumed(_ count: Int = 1) {
    noteSeen()
    samples.wrappingAdd(count, ordering: .relaxed)
  }

  /// A request of the rank begins to wait for bytes.
  ///
  /// - Parameters:
  ///   - now: When.
  ///   - heldBack: How long the store has held requests back so far, in nanoseconds.
  func begin(at now: MonotonicTime, heldBack: Int) {
    noteSeen()
    waits.withLock { waits in
      if waits.openCount == 0 {
        waits.since = now
        waits.heldBackBefore = heldBack
      }
      waits.openCount += 1
    }
  }

  /// A request that waited is answered, or nobody waits for it any more.
  func end(at now: MonotonicTime, heldBack: Int) {
    waits.withLock { waits in
      precondition(waits.openCount > 0, "a wait ended twice")
      if waits.openCount == 1 { waits.past = waits.waits(at: now, heldBack: heldBack) }
      waits.openCount -= 1
    }
  }

  private func noteSeen() {
    guard firstSeen.load(ordering: .relaxed) == 0 else { return }
    _ = firstSeen.compareExchange(
      expected: 0,
      desired: MonotonicTime.now.nanoseconds,
      ordering: .relaxed
    )
  }

  // MARK: What it says

  /// Whether anybody has read of the rank in this mount.
  var isActive: Bool { firstSeen.load(ordering: .relaxed) != 0 }
  var sampleCount: Int { samples.load(ordering: .relaxed) }
  var openCount: Int { waits.withLock { $0.openCount } }

  func waits(at now: MonotonicTime, heldBack: Int) -> RankWaits {
    var result = waits.withLock { $0.waits(at: now, heldBack: heldBack) }
    let first = firstSeen.load(ordering: .relaxed)
    let seen = first == 0 ? 0 : max(0, now.nanoseconds - first)
    result.readerNanoseconds = max(
      0,
      seen - result.networkNanoseconds - result.throttleNanoseconds
    )
    return result
  }
}

/// How long a rank has waited, by what for; together since its first sample.
package struct RankWaits: Hashable, Sendable {
  /// For bytes on their way.
  package var networkNanoseconds = 0

  /// For bytes that were not asked for yet, since the store had asked for fewer requests.
  package var throttleNanoseconds = 0

  /// The mount for its reader, who had all it had asked for.
  package var readerNanoseconds = 0

  package init() {}
}

/// A rank that was read in this mount.
package struct ActiveRank: Sendable {
  package let split: String
  package let rank: Int
  package let epoch: Int

  /// The first position that is not consumed.
  package let position: Int

  /// Positions of the epoch that are consumed.
  package let consumedCount: Int

  /// The epoch's; nil while not all shards are counted.
  package let length: Int?

  /// Samples that came to count as consumed since the mount, in all epochs.
  package let servedCount: Int

  /// Requests that wait for bytes now.
  package let waitingCount: Int
  package let waits: RankWaits
}

/// One request's wait, on the account of its rank.
package struct RankWait: Sendable {
  private let meter: RankMeter
  private let cache: ShardReader

  init(_ meter: RankMeter, _ cache: ShardReader) {
    self.meter = meter
    self.cache = cache
    meter.begin(at: .now, heldBack: cache.heldBackNanoseconds)
  }

  /// To be called once.
  package func end() {
    meter.end(at: .now, heldBack: cache.heldBackNanoseconds)
  }
}

extension MountTree {
  /// Begins to count how long a request waits; nil where it is not about a rank's samples.
  package func beginWait(of inode: UInt64) -> RankWait? {
    let number: Int
    switch Node(inode: inode) {
    case .pass(let pass), .stream(let pass), .sample(let pass, _), .field(let pass, _, _):
      number = pass
    default: return nil
    }
    return passes[number]?.meter.map { RankWait($0, cache) }
  }

  /// Whether a file is a snapshot of our own state, reads of which are no reads of data.
  package func isControlFile(_ inode: UInt64) -> Bool {
    if case .snapshot = Node(inode: inode) { true } else { false }
  }
}
