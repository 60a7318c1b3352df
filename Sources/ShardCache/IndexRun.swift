package import Remote
import Synchronization
import TarIndex

/// Makes the indexes of many shards, several at a time, and keeps them in a cache directory.
///
/// What an earlier run or a mount has kept is taken from there, so a run that was stopped goes on
/// where it was; what is published in the bucket is not made again either.
package final class IndexRun: Sendable {
  /// What came of one shard.
  package enum Outcome: Sendable {
    /// It was kept already.
    case known(IndexedShard)

    case made(IndexedShard)
    case failed(CacheError)
  }

  private struct State {
    var jobs = 1
    var waiting: ArraySlice<Int>
    var walks: [Int: ShardWalk] = [:]
    var isStopped = false
  }

  /// More than any store holds in one object.
  private static let maxObjectBytes: Int64 = 1 << 50

  /// What a shard has under way when there are fewer shards than jobs; each may lie unread for a while.
  private static let maxRequestsAtOnce = 4

  private let store: any ObjectStore
  private let shards: [ObjectInfo]
  private let directory: CacheDirectory?
  private let maxInflatedBytes: Int64
  private let published: PublishedIndex?
  private let state = Mutex(State(waiting: []))
  private let passedBytes = Atomic<Int64>(0)

  /// - Parameters:
  ///   - store: Has the shards.
  ///   - shards: As listed.
  ///   - directory: Where indexes are looked for and kept; nil keeps none.
  ///   - maxInflatedBytes: A compressed shard with more inside is refused.
  ///   - published: Is asked before a shard is read.
  package init(
    store: any ObjectStore,
    shards: [ObjectInfo],
    directory: CacheDirectory?,
    maxInflatedBytes: Int64,
    published: PublishedIndex? = nil
  ) {
    self.published = published
    self.store = store
    self.shards = shards
    self.directory = directory
    self.maxInflatedBytes = maxInflatedBytes
  }

  /// The bytes of the shards that were read or jumped over so far.
  package var walkedBytes: Int64 { passedBytes.load(ordering: .relaxed) }

  /// Goes through shards; blocks until all are done or the run is stopped.
  ///
  /// - Parameters:
  ///   - numbers: Places in the shards.
  ///   - jobs: How many requests are under way at a time: for as many shards, or few shards in parts.
  ///   - onShard: Told of each shard when it is done, from several threads at once.
  /// - Returns: Whether all were done.
  package func run(
    _ numbers: [Int],
    jobs: Int,
    onShard: @escaping @Sendable (_ number: Int, _ outcome: Outcome) -> Void
  ) -> Bool {
    state.withLock { state in
      state.waiting = numbers[...]
      state.jobs = jobs
    }
    let threads = min(max(1, jobs), numbers.count)
    let ended = ReadySignal()
    for number in 0..<threads {
      WorkerThread.start(name: "index-\(number)") { [self] in
        while let number = next() {
          let outcome = outcome(ofShard: number)
          if case .failed(.closed) = outcome { break }
          onShard(number, outcome)
        }
        ended.signal()
      }
    }
    for _ in 0..<threads { ended.wait() }
    return state.withLock { !$0.isStopped && $0.waiting.isEmpty }
  }

  /// Breaks off what is under way; what is done is kept.
  package func stop() {
    let walks = state.withLock { state in
      state.isStopped = true
      return Array(state.walks.values)
    }
    for walk in walks { walk.cancel() }
  }

  /// The index that is kept of a shard, if any.
  package func keptIndex(ofShard number: Int) -> IndexedShard? {
    guard let file = file(ofShard: number), let kept = file.load() else { return nil }
    let size = shards[number].sizeBytes
    let fits =
      kept.isInflated
      ? kept.index.objectBytes <= maxInflatedBytes
      : kept.index.objectBytes == size
    guard kept.index.isComplete, kept.index.damage == nil, fits else { return nil }
    return IndexedShard(index: kept.index, isInflated: kept.isInflated)
  }

  private func next() -> Int? {
    state.withLock { $0.isStopped ? nil : $0.waiting.popFirst() }
  }

  private func file(ofShard number: Int) -> IndexFile? {
    directory.map { directory in
      IndexFile(
        directory: directory,
        identity: ShardIdentity(storeIdentity: store.identity, object: shards[number])
      )
    }
  }

  private func outcome(ofShard number: Int) -> Outcome {
    if let kept = keptIndex(ofShard: number) { return .known(kept) }
    if let found = published?.index(ofShard: number) {
      file(ofShard: number)?.store(found.index, isInflated: found.isInflated)
      return .known(found)
    }
    let object = shards[number]
    guard (0...Self.maxObjectBytes).contains(object.sizeBytes) else {
      let what = "impossible size \(object.sizeBytes)"
      return .failed(.shardBad(shard: object.key, errorClass: what, offset: 0))
    }
    let walk = ShardWalk(
      store: store,
      object: object,
      maxInflatedBytes: maxInflatedBytes,
      requestsAtOnce: { [self] in
        state.withLock { state in
          let walkCount = max(1, state.walks.count)
          return min(Self.maxRequestsAtOnce, (state.jobs + walkCount - 1) / walkCount)
        }
      },
      progress: { [self] bytes in passedBytes.add(bytes, ordering: .relaxed) }
    )
    let isStopped = state.withLock { state in
      state.walks[number] = walk
      return state.isStopped
    }
    defer { state.withLock { $0.walks[number] = nil } }
    if isStopped { return .failed(.closed) }
    do throws(CacheError) {
      let made = try walk.run()
      // A damaged shard is walked again by whoever comes next: the damage may be the transfer's.
      if made.index.damage == nil, let file = file(ofShard: number) {
        file.store(made.index, isInflated: made.isInflated)
      }
      return .made(made)
    } catch {
      return .failed(error)
    }
  }
}
