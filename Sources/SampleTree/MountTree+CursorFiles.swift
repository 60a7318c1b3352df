import Glibc
import Remote
import SampleOrder
import ShardCache
import TarIndex

/// `/<split>/<rank>/.cursor` and `/.wdsfs/cursor.json`: read for the place reached, written to
/// commit or to move.
extension MountTree {
  func lookUpCursor(split: Int, rank: Int) throws(Obstacle) -> Attributes {
    let name = TrainingRun.RankName(split: split, rank: rank)
    let file = controls.snapshot(
      run.cursor().holding(only: [rank]).encoded(),
      // Behind the few files of `/.wdsfs`.
      ofFile: (split + 1) << 24 | rank,
      seconds: Self.now(),
      isPrivate: true,
      target: .rank(name)
    )
    guard let file else { throw .failure(.noSuchEntry) }
    return file
  }

  /// Sets a cursor file's size to nothing, as `>` of a shell does before it writes.
  ///
  /// - Returns: The file as it is then.
  /// - Throws: `TreeError.readOnly` for every other file and size.
  package func truncate(_ inode: UInt64, to sizeBytes: Int64) throws(TreeError) -> Attributes {
    guard case .snapshot(let number) = Node(inode: inode), sizeBytes == 0,
      controls.target(of: number) != .nobody
    else { throw .readOnly }
    controls.truncate(number)
    guard let attributes = controls.attributes(of: number) else { throw .noSuchEntry }
    return attributes
  }

  /// Takes up a write.
  ///
  /// - Parameters:
  ///   - bytes: A position like `12800` or `3:12800`, or a part of a cursor document, which takes
  ///     effect once it is whole.
  ///   - offset: In the file.
  ///   - inode: Of any file; those that are no cursor files take none.
  ///   - completion: Called once, from any thread, when the kernel has let go of what the write has
  ///     made wrong; with why the write was not taken, if so.
  package func write(
    _ bytes: [UInt8],
    at offset: Int64,
    to inode: UInt64,
    completion: @escaping @Sendable (TreeError?) -> Void
  ) {
    guard case .snapshot(let number) = Node(inode: inode) else { return completion(.readOnly) }
    let target = controls.target(of: number)
    guard target != .nobody else { return completion(.readOnly) }
    let maxBytes = Cursor.maxBytes
    guard let written = controls.write(bytes, at: offset, to: number, maxBytes: maxBytes) else {
      return completion(.badCursor(path: path(of: target), .notACursor))
    }
    turns.run { [self] in apply(written, target, completion) }
  }

  private func apply(
    _ written: [UInt8],
    _ target: ControlFiles.Target,
    _ completion: @escaping @Sendable (TreeError?) -> Void
  ) {
    do throws(RunError) {
      if written.first == UInt8(ascii: "{") {
        try move(to: written, target)
      } else if case .rank(let name) = target, let request = CommitRequest(written) {
        try commit(request, name)
      } else {
        throw .notACursor
      }
      completion(nil)
    } catch {
      if let shard = shardWanted(by: error, target) {
        let waiter = Recommit { [self] failure in
          if failure != nil { return completion(.badCursor(path: path(of: target), error)) }
          turns.run { [self] in apply(written, target, completion) }
        }
        return cache.wait(forSample: Int.max, ofShard: shard, waiter)
      }
      completion(.badCursor(path: path(of: target), error))
    }
  }

  /// The shard that must be counted before the write can be judged.
  private func shardWanted(by error: RunError, _ target: ControlFiles.Target) -> Int? {
    guard case .rank(let name) = target else { return nil }
    let shards = dataset.splits[name.split].shards
    switch error {
    case .commit(.notCounted(_, let place)):
      let shard = shards[place]
      if let index = cache.index(ofShard: shard), index.isComplete,
        let pass = try? rankPass(split: name.split, rank: name.rank)
      {
        // Known meanwhile, and only not taken up.
        learn(index.sampleCount, isExact: true, ofPlace: place, pass)
      }
      return shard
    case .order(.countsWanted(let places)): return places.first.map { shards[$0] }
    default: return nil
    }
  }

  private func commit(_ request: CommitRequest, _ name: TrainingRun.RankName) throws(RunError) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let milliseconds = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    let effect = try run.commit(
      request,
      split: name.split,
      rank: name.rank,
      milliseconds: milliseconds
    )
    switch effect {
    case .noted: break
    case .end(let pass): tellEnd(of: pass)
    case .moved: forgetFolder(of: name)
    }
  }

  private func move(to written: [UInt8], _ target: ControlFiles.Target) throws(RunError) {
    let document: Cursor
    do throws(CursorError) {
      document = try Cursor(decoding: written)
    } catch {
      // A part of a document ends somewhere else.
      guard written.suffix(2).elementsEqual("}\n".utf8) else { return }
      throw .cursor(error)
    }
    let only: TrainingRun.RankName? = if case .rank(let name) = target { name } else { nil }
    for name in try run.move(to: document, only: only) {
      forgetFolder(of: name)
    }
  }

  private func path(of target: ControlFiles.Target) -> String {
    guard case .rank(let name) = target else { return ".wdsfs/cursor.json" }
    return "\(path(of: .split(name.split)))/\(name.rank)/.cursor"
  }
}

/// Tries a commit again once what it wanted is counted.
private final class Recommit: CacheWaiter {
  private let body: @Sendable (CacheError?) -> Void

  init(_ body: @escaping @Sendable (CacheError?) -> Void) {
    self.body = body
  }

  func cacheAnswered(_ failure: CacheError?) {
    body(failure)
  }
}
