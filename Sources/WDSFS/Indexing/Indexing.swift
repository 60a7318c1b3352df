import Remote
import ShardCache
import Synchronization

/// An indexing run as a command makes it: with progress, and ended by signals without loss.
final class Indexing: Sendable {
  private struct State {
    var results = IndexResults()

    /// Why there is no sense in going on.
    var failure: Failure?
  }

  private let open: OpenDataset
  let indexRun: IndexRun
  private let jobs: Int
  private let remote: String
  private let onIndex: @Sendable (Int, IndexedShard) -> Void
  private let state = Mutex(State())

  /// - Parameters:
  ///   - open: The dataset.
  ///   - settings: How many jobs, and how large a compressed shard may be.
  ///   - onIndex: Sees each index, from several threads at once.
  init(
    _ open: OpenDataset,
    _ settings: MountSettings,
    onIndex: @escaping @Sendable (_ shard: Int, _ index: IndexedShard) -> Void = { _, _ in }
  ) {
    self.open = open
    self.onIndex = onIndex
    jobs = settings.maxWorkers
    remote = open.address.displayName
    indexRun = IndexRun(
      store: open.store,
      shards: open.dataset.shards,
      directory: open.directory,
      maxInflatedBytes: settings.maxDecompressedBytes,
      published: open.stated.published
    )
  }

  /// Why not all is done, or nil.
  var failure: Failure? {
    state.withLock { state in
      if let failure = state.failure { return failure }
      guard let first = state.results.failures.min(by: { $0.key < $1.key }) else { return nil }
      let count = state.results.failures.count
      let others = count > 1 ? " and \(count - 1) more" : ""
      let shard = PrintableName.text(open.dataset.shards[first.key].key.bytes)
      return Failure(
        Self.code(first.value, remote),
        "could not read \(shard)\(others): \(first.value); run it again for those"
      )
    }
  }

  /// The samples found in each shard that was done.
  var counts: [(shard: Int, samples: Int)] {
    state.withLock { $0.results.summaries }.sorted { $0.key < $1.key }
      .map { ($0.key, $0.value.samples) }
  }

  /// Goes through shards; blocks until all are done, or a signal or an error ends it.
  func run(_ shards: [Int]) -> IndexReport {
    let startedAt = ContinuousClock.now
    let sizes = open.dataset.shards
    let progress = IndexProgress(
      indexRun,
      store: open.store,
      shardCount: shards.count,
      totalBytes: shards.reduce(0) { $0 + sizes[$1].sizeBytes }
    )
    Signals.handle(
      first: { [self] signal in stop(Self.stopped(signal)) },
      second: { _ in }
    )
    let line = progress.line
    line.start()
    let isComplete = indexRun.run(shards, jobs: jobs) { [self] number, outcome in
      progress.note(outcome, sizeBytes: sizes[number].sizeBytes)
      take(outcome, ofShard: number)
    }
    line.finish()
    return IndexReport(
      state.withLock { $0.results },
      of: open,
      isComplete: isComplete,
      seconds: startedAt.duration(to: .now) / .seconds(1)
    )
  }

  private func take(_ outcome: IndexRun.Outcome, ofShard number: Int) {
    state.withLock { $0.results.note(outcome, ofShard: number) }
    switch outcome {
    case .known(let shard), .made(let shard): onIndex(number, shard)
    case .failed(.fetch(_, _, let error)):
      switch error {
      // What one shard does not get, the others will not get either.
      case .credentials, .unreachable, .exhausted, .noSuchContainer:
        stop(Failure(error, remote: remote))
      default: break
      }
    case .failed: break
    }
  }

  private func stop(_ failure: Failure) {
    state.withLock { $0.failure = $0.failure ?? failure }
    indexRun.stop()
  }

  private static func stopped(_ signal: Int32) -> Failure {
    Failure(
      .internalError,
      "stopped (\(Signals.name(signal))); what is done is kept, the same command goes on there"
    )
  }

  private static func code(_ error: CacheError, _ remote: String) -> ExitCode {
    if case .fetch(_, _, let error) = error { return Failure(error, remote: remote).code }
    return .internalError
  }
}
