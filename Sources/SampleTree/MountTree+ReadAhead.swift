import Remote
import SampleOrder
import ShardCache
import Synchronization
import TarIndex

/// Tells the cache what each reader's order needs next.
extension MountTree {
  /// A piece that one request brings; lanes take turns in pieces of this.
  private static let pieceBytes: Int64 = 4 << 20

  /// What is worked out at once reaches this far into the window before it is worked out again.
  private static let settledPart: Int64 = 8

  /// A reader is at a position of a pass.
  func advance(_ pass: Pass, to position: Int) {
    let window = pass.progress.withLock { progress in
      progress.window(at: position, firstBytes: Self.firstBytes, maxBytes: Int64.max)
    }
    guard let window, window > 0 else { return }
    plan(pass, from: position, window, pass.progress, stream: pass.number * 2)
  }

  /// A listing waits at a position of a pass: it goes through all that follows.
  func advanceListing(_ pass: Pass, to position: Int) {
    let isSettled = pass.listing.withLock { $0.settled.contains(position) }
    guard !isSettled else { return }
    plan(pass, from: position, Int64.max, pass.listing, stream: pass.number * 2 + 1)
  }

  /// What is fetched ahead of a reader that has read its second sample.
  private static let firstBytes: Int64 = 16 << 20

  private func plan(
    _ pass: Pass,
    from position: Int,
    _ window: Int64,
    _ progress: borrowing Mutex<Pass.Progress>,
    stream: Int
  ) {
    var pieces: [ShardReader.Upcoming] = []
    let settledCount: Int
    if case .shard(_, _, let shard) = pass.kind {
      settledCount = planShard(shard, from: position, window, &pieces)
    } else if let order = pass.snapshot {
      let shards = dataset.splits[pass.split].shards
      settledCount = planRank(order, shards, from: position, window, &pieces)
    } else {
      return
    }
    progress.withLock { $0.settle(position..<position + max(1, settledCount)) }
    cache.readAhead(pieces, ofStream: stream)
  }

  private func planShard(
    _ shard: Int,
    from position: Int,
    _ window: Int64,
    _ pieces: inout [ShardReader.Upcoming]
  ) -> Int {
    guard let index = cache.index(ofShard: shard), position < index.sampleCount else { return 1 }
    let start = index.span(ofSample: position).lowerBound
    let rest = cache.shards[shard].sizeBytes - start
    let end = start + max(0, min(rest, window, 64 << 20))
    pieces.append(ShardReader.Upcoming(shard: shard, range: start..<end))
    return 16
  }

  private func planRank(
    _ order: RankOrder,
    _ shards: [Int],
    from position: Int,
    _ window: Int64,
    _ pieces: inout [ShardReader.Upcoming]
  ) -> Int {
    let windowBytes = min(window, maxWindowBytes(order, shards, position))
    let laneBytes = max(1, windowBytes / Int64(order.laneCount))
    var lanes: [[ShardReader.Upcoming]] = []
    var sampleBytes = Int64.max
    for lane in 0..<order.laneCount {
      var rest = laneBytes
      var own: [ShardReader.Upcoming] = []
      order.forEachUpcomingSlice(lane: lane, from: position) { slice in
        let shard = shards[slice.shard]
        guard let range = bytes(of: slice, inShard: shard, &sampleBytes) else {
          own.append(ShardReader.Upcoming(shard: shard, range: nil))
          return false
        }
        var start = range.lowerBound
        while start < range.upperBound, rest > 0 {
          let end = min(range.upperBound, start + min(rest, Self.pieceBytes))
          own.append(ShardReader.Upcoming(shard: shard, range: start..<end))
          rest -= end - start
          start = end
        }
        return rest > 0
      }
      lanes.append(own)
    }
    let longest = lanes.map(\.count).max() ?? 0
    for turn in 0..<longest {
      for lane in lanes where turn < lane.count {
        pieces.append(lane[turn])
      }
    }
    // Before the first index there is no telling how large samples are: look again soon.
    guard sampleBytes < Int64.max, sampleBytes > 0 else { return 1 }
    let settled = laneBytes * Int64(order.laneCount) / Self.settledPart / sampleBytes
    return Int(clamping: max(1, settled))
  }

  /// The bytes that a slice has left; nil where only the whole shard can tell.
  private func bytes(
    of slice: ShardSlice,
    inShard shard: Int,
    _ sampleBytes: inout Int64
  ) -> Range<Int64>? {
    let size = cache.shards[shard].sizeBytes
    guard let (index, plane) = cache.indexAndPlane(ofShard: shard), index.sampleCount > 0 else {
      return cache.isLikelyPlain(shard) ? 0..<size : nil
    }
    guard plane == .stored else { return nil }
    let first = slice.isPermuted ? slice.lowerBound : slice.next
    let last = min(slice.upperBound ?? index.sampleCount, index.sampleCount) - 1
    sampleBytes = min(
      sampleBytes,
      max(1, index.span(ofSample: index.sampleCount - 1).upperBound / Int64(index.sampleCount))
    )
    guard index.isComplete else {
      let start = first < index.sampleCount ? index.span(ofSample: first).lowerBound : 0
      return start..<max(start, size)
    }
    guard first <= last else { return 0..<0 }
    let start = index.span(ofSample: first).lowerBound
    return start..<max(start, min(size, index.span(ofSample: last).upperBound))
  }

  private func maxWindowBytes(_ order: RankOrder, _ shards: [Int], _ position: Int) -> Int64 {
    switch settings.readAhead {
    case .bytes(let bytes): return max(Self.pieceBytes, bytes)
    case .samples(let count):
      var sampleBytes: Int64 = 1 << 20
      order.forEachUpcomingSlice(lane: 0, from: position) { slice in
        if let index = cache.index(ofShard: shards[slice.shard]), index.sampleCount > 0 {
          let bytes = index.span(ofSample: index.sampleCount - 1).upperBound
          sampleBytes = max(1, bytes / Int64(index.sampleCount))
        }
        return false
      }
      let (bytes, isOver) = sampleBytes.multipliedReportingOverflow(by: Int64(count))
      return isOver ? Int64.max / 2 : max(1, bytes)
    }
  }

  /// A raw shard is read at an offset: what comes next is likely to be wanted too.
  func advanceShardFile(_ shard: Int, to offset: Int64) {
    let size = cache.shards[shard].sizeBytes
    let step = Self.pieceBytes
    // Once a piece, so that a sequential reader pays for it once in 32 reads.
    guard offset % step < 1 << 20, offset > 0 else { return }
    let start = min(size, offset)
    let end = min(size, offset + 8 * step)
    let pieces = stride(from: start, to: end, by: Int64.Stride(step)).map { piece in
      ShardReader.Upcoming(shard: shard, range: piece..<min(end, piece + step))
    }
    cache.readAhead(pieces, ofStream: -1 - shard)
  }
}
