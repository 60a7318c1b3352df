/// Where a rank of a live mount is, and what moves it: its reads, or from the first commit on commits.
///
/// Decides only. Whoever owns it hands in the order of the epoch that is meant and saves the progress.
package struct RankBookmark: Hashable, Sendable {
  package private(set) var progress: Progress

  /// Whether commits alone count, until unmount.
  package private(set) var isCommitting = false

  /// Raised whenever an index may come to stand for another sample other than by a turn.
  package private(set) var generation = 0

  /// Takes up what a cursor says, or a fresh start.
  ///
  /// - Parameters:
  ///   - progress: In the present leg.
  ///   - order: Of `progress.epoch`.
  package init(_ progress: Progress = Progress(), in order: RankOrder) {
    self.progress = progress
    skipInherited(order)
  }

  /// Notes that a sample was served, which is what counts in read mode.
  ///
  /// Samples of other epochs do not count, nor does one that counts already.
  ///
  /// - Parameters:
  ///   - position: Of a sample that exists.
  ///   - order: Of the epoch that was read.
  /// - Returns: Whether the progress changed.
  @discardableResult
  package mutating func served(_ position: Int, in order: RankOrder) -> Bool {
    guard !isCommitting, order.epoch == progress.epoch, position >= 0, position < Int.max,
      !progress.consumed.contains(position)
    else { return false }
    // What earlier legs consumed is taken along, so that going forward leaves no gaps.
    let next = order.firstNotInherited(from: position + 1)
    progress.consumed.insert(position..<(next < Int.max ? next : position + 1))
    return true
  }

  /// Notes that a trainer is done with everything below a position, and with nothing beyond it.
  ///
  /// From now on reads do not count. Another epoch than the present one is moved to.
  ///
  /// - Parameters:
  ///   - position: At most the epoch's length, which ends it.
  ///   - order: Of the epoch that is meant.
  ///   - milliseconds: Since 1970.
  /// - Throws: `CommitError`; nothing has changed then.
  package mutating func commit(
    _ position: Int,
    in order: RankOrder,
    at milliseconds: Int64
  ) throws(CommitError) {
    switch order.holds(position) {
    case true:
      break
    case false:
      throw .beyondEnd(position: position, length: order.length)
    case nil:
      guard case .unknown(let shard, _) = order.place(at: position - 1) else {
        throw .beyondEnd(position: position, length: order.length)
      }
      throw .notCounted(position: position, shard: shard)
    }
    if order.epoch != progress.epoch { generation += 1 }
    isCommitting = true
    progress = Progress(
      epoch: order.epoch,
      consumed: Consumed(below: position),
      committedAt: milliseconds
    )
    skipInherited(order)
  }

  /// Whether nothing of the present epoch is left; false while that is not known.
  package func isConsumed(in order: RankOrder) -> Bool {
    precondition(order.epoch == progress.epoch, "epoch \(order.epoch), not \(progress.epoch)")
    let left = order.firstLeft(from: 0, progress.consumed)
    return left == Int.max || order.place(at: left) == .end
  }

  /// Goes on to the next epoch.
  ///
  /// - Parameter order: Of that epoch.
  package mutating func turn(to order: RankOrder) {
    precondition(order.epoch == progress.epoch + 1, "epoch \(progress.epoch) to \(order.epoch)")
    progress = Progress(epoch: order.epoch, committedAt: progress.committedAt)
    skipInherited(order)
  }

  /// Moves to what a checkpoint says, forward or back; this alone is no commit mode.
  ///
  /// - Parameters:
  ///   - other: As the checkpoint holds it.
  ///   - order: Of `other.epoch`.
  package mutating func move(to other: Progress, in order: RankOrder) {
    progress = other
    generation += 1
    skipInherited(order)
  }

  private mutating func skipInherited(_ order: RankOrder) {
    precondition(order.epoch == progress.epoch, "epoch \(order.epoch), not \(progress.epoch)")
    let next = order.firstNotInherited(from: progress.consumed.next)
    // Where all is over, that this rank has left the epoch is not for an inheritance to say.
    if next < Int.max { progress.consumed.insert(0..<next) }
  }
}
