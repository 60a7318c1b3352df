import Glibc
import Remote
import SampleOrder
import ShardCache
import Synchronization

/// Fetches shards into a cache, so that a later mount finds them there.
final class WarmRun: Sendable {
  struct Standing {
    var doneShards = 0
    var doneBytes: Int64 = 0
    var failedShards = 0
    var firstFailure: CacheError?
  }

  private let cache: ShardReader
  private let shards: [Int]
  private let next = Atomic<Int>(0)
  private let state = Mutex(Standing())

  /// - Parameters:
  ///   - cache: What is filled.
  ///   - shards: Its numbers of the shards, the one that is wanted first in front.
  init(_ cache: ShardReader, shards: [Int]) {
    self.cache = cache
    self.shards = shards
  }

  var standing: Standing { state.withLock { $0 } }

  /// Fetches all, so many shards at a time; returns when the last one is there.
  func run(workerCount: Int) {
    let count = max(1, min(workerCount, shards.count))
    let ends = (0..<count).map { _ in ReadySignal() }
    for end in ends {
      WorkerThread.start(name: "warm") { [self] in
        while let shard = take() { fetch(shard) }
        end.signal()
      }
    }
    for end in ends { end.wait() }
  }

  private func take() -> Int? {
    let place = next.add(1, ordering: .relaxed).oldValue
    return place < shards.count ? shards[place] : nil
  }

  // MARK: One shard

  private static let pieceBytes: Int64 = 4 << 20

  private func fetch(_ shard: Int) {
    // It grows from the bytes that come by, so that a mount needs no header either.
    cache.beginIndex(ofShard: shard)
    var failure: CacheError?
    if cache.isLikelyPlain(shard) { failure = fetchBytes(of: shard) }
    failure = failure ?? waited { cache.wait(forSample: Int.max, ofShard: shard, $0) }
    state.withLock { state in
      state.doneShards += 1
      guard let failure else { return }
      state.failedShards += 1
      state.firstFailure = state.firstFailure ?? failure
    }
  }

  private func fetchBytes(of shard: Int) -> CacheError? {
    let sizeBytes = cache.shards[shard].sizeBytes
    for start in stride(from: 0, to: sizeBytes, by: Int64.Stride(Self.pieceBytes)) {
      let piece = start..<min(sizeBytes, start + Self.pieceBytes)
      if let failure = waited({ cache.wait(forBytes: piece, ofShard: shard, plane: .stored, $0) }) {
        return failure
      }
      state.withLock { $0.doneBytes += Int64(piece.count) }
    }
    return nil
  }

  private func waited(_ ask: (any CacheWaiter) -> Void) -> CacheError? {
    let waiter = WarmWaiter()
    ask(waiter)
    return waiter.wait()
  }
}

extension WarmRun {
  /// The shards of a run in the order in which its ranks come to them, each once.
  ///
  /// - Parameters:
  ///   - orders: Of every rank that will be read.
  ///   - shards: The cache's number of each of the split's.
  /// - Returns: Numbers of the cache's.
  static func shards(neededBy orders: [RankOrder], _ shards: [Int]) -> [Int] {
    var lanes: [[Int]] = []
    for order in orders {
      for lane in 0..<order.laneCount {
        var places: [Int] = []
        order.forEachUpcomingSlice(lane: lane, from: 0) { slice in
          places.append(slice.shard)
          return true
        }
        lanes.append(places)
      }
    }
    var seen: Set<Int> = []
    var ordered: [Int] = []
    for turn in 0..<(lanes.map(\.count).max() ?? 0) {
      for lane in lanes where turn < lane.count && seen.insert(lane[turn]).inserted {
        ordered.append(shards[lane[turn]])
      }
    }
    return ordered
  }
}

/// Lets a worker wait for the cache.
private final class WarmWaiter: CacheWaiter {
  private let failure = Mutex<CacheError?>(nil)
  private let isAnswered = ReadySignal()

  func cacheAnswered(_ failure: CacheError?) {
    self.failure.withLock { $0 = failure }
    isAnswered.signal()
  }

  func wait() -> CacheError? {
    isAnswered.wait()
    return failure.withLock { $0 }
  }
}
