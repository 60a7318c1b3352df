import Glibc
import Remote
import SampleOrder
import ShardCache
import Synchronization
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
    guard controls.write(bytes, at: offset, to: number, maxBytes: Cursor.maxBytes) else {
      return completion(.badCursor(path: path(of: target), .notACursor))
    }
    switch controls.withWritten(to: number, Self.whole) {
    case .part: completion(nil)
    case .whole(let written):
      // Without a line's end, what follows may still belong to the number.
      if written.last == UInt8(ascii: "\n") { controls.endWritten(to: number) }
      turns.run { [self] in apply(written, target, completion) }
    }
  }

  private enum Written {
    /// The rest of a document is to come.
    case part

    /// All of something; whether it is a cursor is to be seen.
    case whole([UInt8])
  }

  /// How every document begins and ends; within it, no brace stands at a line's start.
  private static let head = Array("{\n  \"format\": \"wdsfs cursor\"".utf8)
  private static let tail = Array("\n}\n".utf8)

  private static func whole(_ written: [UInt8]) -> Written {
    let known = min(written.count, head.count)
    let isDocument = known > 0 && written.prefix(known).elementsEqual(head.prefix(known))
    return isDocument && !written.suffix(tail.count).elementsEqual(tail) ? .part : .whole(written)
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
      do throws(Obstacle) {
        guard try learn(whatIsWantedBy: error, target) else {
          return completion(.badCursor(path: path(of: target), error))
        }
        turns.run { [self] in apply(written, target, completion) }
      } catch {
        switch error {
        case .failure(let failure): completion(failure)
        case .pending(let want):
          let waiter = Recommit { [self] failure in
            if let failure { return completion(.cache(path: path(of: target), failure)) }
            turns.run { [self] in apply(written, target, completion) }
          }
          wait(for: want, waiter)
        }
      }
    }
  }

  /// Takes up the counts without which a write could not be judged.
  ///
  /// - Returns: Whether there is more to judge by now.
  /// - Throws: `Obstacle` where counts are to come.
  private func learn(
    whatIsWantedBy error: RunError,
    _ target: ControlFiles.Target
  ) throws(Obstacle) -> Bool {
    switch error {
    case .commit(.notCounted(let position, let place), let epoch):
      guard case .rank(let name) = target else { return false }
      let pass = try rankPass(split: name.split, rank: name.rank)
      guard let epoch, epoch != pass.epoch else {
        return try locateLast(before: position, in: pass)
      }
      return try count(place, ofSplit: name.split, target)
    case .order(.countsWanted(let places), let split):
      guard let place = places.first else { return false }
      return try count(place, ofSplit: split, target)
    case .commit, .cursor, .order, .notACursor: return false
    }
  }

  private func count(
    _ place: Int,
    ofSplit split: Int,
    _ target: ControlFiles.Target
  ) throws(Obstacle) -> Bool {
    let shard = dataset.splits[split].shards[place]
    if let failure = cache.lastingFailure(ofShard: shard) {
      throw .failure(.cache(path: path(of: target), failure))
    }
    // One that is counted, or left out, and yet wanted will not be known any better.
    if skippedShards.withLock({ $0.contains(shard) })
      || cache.index(ofShard: shard)?.isComplete == true
    {
      return false
    }
    throw .pending(.sample(number: Int.max, shard: shard))
  }

  private func locateLast(before position: Int, in pass: Pass) throws(Obstacle) -> Bool {
    do throws(Obstacle) {
      _ = try locate(position - 1, in: pass)
    } catch {
      // The epoch ends before it, which is known now.
      guard case .failure(.noSuchEntry) = error else { throw error }
    }
    return true
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
