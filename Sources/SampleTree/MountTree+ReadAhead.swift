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

  /// Samples that are looked at for one look ahead in order of class.
  private static let maxClassedAhead = 2048

  /// What is fetched ahead of a reader that has read its second sample.
  private static let firstBytes: Int64 = 16 << 20

  /// With a large field left out of each sample, so many pieces of a shard are looked at.
  private static let maxParts = 1024

  /// What of a window a shard takes whose fields are not known yet.
  private static let unknownBytes: Int64 = 16 << 20

  /// A window in samples has no limit in bytes before their size is looked at.
  private static let maxWindowBytes: Int64 = 1 << 50

  /// A reader is at a position of a pass.
  ///
  /// Only reads count: a walk that looks at names and sizes fetches nothing.
  func advance(_ pass: Pass, to position: Int, at sample: Sample) {
    let maxBytes =
      if case .bytes(let bytes) = settings.readAhead { bytes } else { Self.maxWindowBytes }
    let answer = pass.readings.withLock { readings in
      readings.step(to: position, firstBytes: Self.firstBytes, maxBytes: maxBytes)
    }
    for reading in answer.ended { cache.readAhead([], ofStream: stream(pass, reading)) }
    switch answer.step {
    case .nothing: break
    case .stop: cache.readAhead([], ofStream: stream(pass, answer.reading))
    case .fetchAhead(let window):
      let bytes = min(window, bytesAhead(of: sample))
      if bytes > 0 { plan(pass, answer.reading, from: position, bytes) }
    }
    let nearCount = cache.nearSampleCount
    guard nearCount > 0, pass.isPermuted else { return }
    bringNear(sample.shard, sample.number)
    guard case .sample(let place, let number) = pass.place(at: position + nearCount) else { return }
    bringNear(dataset.splits[pass.split].shards[place], number)
  }

  /// Has a sample of a permuted order brought from disk to memory.
  ///
  /// Which shards such an order needs is planned for a window as a whole, and not which of their
  /// samples are next.
  private func bringNear(_ shard: Int, _ number: Int) {
    guard let (index, plane) = cache.indexAndPlane(ofShard: shard), plane == .stored,
      number < index.sampleCount
    else { return }
    cache.bringNear(index.span(ofSample: number), ofShard: shard)
  }

  /// What the cache calls a reading; raw shards have names below 0.
  private func stream(_ pass: Pass, _ reading: Int) -> Int {
    pass.number * Readings.maxCount + reading
  }

  /// How many bytes the user's window has, if all samples are as large as those of this shard.
  private func bytesAhead(of sample: Sample) -> Int64 {
    guard case .samples(let count) = settings.readAhead else { return Self.maxWindowBytes }
    let (bytes, isOver) = meanBytes(of: sample.index).multipliedReportingOverflow(by: Int64(count))
    return isOver ? Self.maxWindowBytes : bytes
  }

  private func meanBytes(of index: ShardIndex) -> Int64 {
    guard index.sampleCount > 0 else { return 1 }
    let end = index.span(ofSample: index.sampleCount - 1).upperBound
    return max(1, end / Int64(index.sampleCount))
  }

  private func plan(_ pass: Pass, _ reading: Int, from position: Int, _ window: Int64) {
    var pieces: [ShardReader.Upcoming] = []
    let use = pass.fieldUse.withLock { $0 }
    let settledCount: Int
    if case .shard(_, _, let shard) = pass.kind {
      settledCount = planShard(shard, from: position, window, use, &pieces)
    } else if case .classes(let split) = pass.kind {
      settledCount = planClasses(split, from: position, window, &pieces)
    } else if let order = pass.snapshot {
      let shards = dataset.splits[pass.split].shards
      settledCount = planRank(order, shards, from: position, window, use, &pieces)
    } else {
      return
    }
    pass.readings.withLock {
      $0.settle(position..<position + max(1, settledCount), of: reading)
    }
    cache.readAhead(pieces, ofStream: stream(pass, reading))
  }

  private func planShard(
    _ shard: Int,
    from position: Int,
    _ window: Int64,
    _ use: FieldUse,
    _ pieces: inout [ShardReader.Upcoming]
  ) -> Int {
    guard let index = cache.index(ofShard: shard), position < index.sampleCount else { return 1 }
    let start = index.span(ofSample: position).lowerBound
    let rest = cache.shards[shard].sizeBytes - start
    let end = start + max(0, min(rest, window, 64 << 20))
    for part in use.opened(start..<end, fromSample: position, in: index, maxCount: Self.maxParts) {
      pieces.append(ShardReader.Upcoming(shard: shard, range: part))
    }
    return 16
  }

  /// What comes next in order of class: large pieces where shards are sorted by class, else sample by
  /// sample, of which each costs its chunk.
  private func planClasses(
    _ split: Int,
    from position: Int,
    _ window: Int64,
    _ pieces: inout [ShardReader.Upcoming]
  ) -> Int {
    guard let table = classTables[split] else { return 1 }
    let shards = dataset.splits[split].shards
    var rest = window
    var end = position
    while rest > 0, end < table.sampleCount, end - position < Self.maxClassedAhead {
      let (place, number) = table.sample(at: end)
      end += 1
      guard let (index, plane) = cache.indexAndPlane(ofShard: shards[place]), plane == .stored
      else { continue }
      let span = index.span(ofSample: number)
      if let last = pieces.last, last.shard == shards[place], let range = last.range,
        range.upperBound == span.lowerBound, span.upperBound - range.lowerBound <= Self.pieceBytes
      {
        let joined = range.lowerBound..<span.upperBound
        pieces[pieces.count - 1] = ShardReader.Upcoming(shard: last.shard, range: joined)
        rest -= Int64(span.count)
      } else {
        pieces.append(ShardReader.Upcoming(shard: shards[place], range: span))
        rest -= max(Int64(span.count), Int64(ShardReader.maxReadBytes))
      }
    }
    return (end - position) / Int(Self.settledPart)
  }

  private func planRank(
    _ order: RankOrder,
    _ shards: [Int],
    from position: Int,
    _ window: Int64,
    _ use: FieldUse,
    _ pieces: inout [ShardReader.Upcoming]
  ) -> Int {
    let laneBytes = max(1, window / Int64(order.laneCount))
    var lanes: [[ShardReader.Upcoming]] = []
    var sampleBytes = Int64.max
    for lane in 0..<order.laneCount {
      var rest = laneBytes
      var own: [ShardReader.Upcoming] = []
      order.forEachUpcomingSlice(lane: lane, from: position) { slice in
        let shard = shards[slice.shard]
        switch bytes(of: slice, inShard: shard, use, &sampleBytes) {
        case .parts(let parts, let isAll):
          for part in parts where rest > 0 {
            own.append(.init(shard: shard, range: part, isPermuted: slice.isPermuted))
            rest -= max(Int64(part.count), FieldUse.largeBytes)
          }
          if !isAll {
            own.append(ShardReader.Upcoming(shard: shard, range: nil))
            rest -= Self.unknownBytes
          }
        case .range(let range):
          var start = range.lowerBound
          while start < range.upperBound, rest > 0 {
            let end = min(range.upperBound, start + min(rest, Self.pieceBytes))
            own.append(.init(shard: shard, range: start..<end, isPermuted: slice.isPermuted))
            rest -= end - start
            start = end
          }
        case .whole(let bytes):
          own.append(ShardReader.Upcoming(shard: shard, range: nil))
          rest -= bytes
        case .loaded(let bytes):
          rest -= bytes
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

  /// What there is to fetch of a slice.
  private enum SliceBytes {
    /// Of the stored plane.
    case range(Range<Int64>)

    /// The same without large fields that nobody opens; not all of them where the shard must be
    /// indexed before its fields can be told apart.
    case parts([Range<Int64>], isAll: Bool)

    /// The shard can only be read whole; so many bytes, or at least as many.
    case whole(Int64)

    /// The shard has been read whole; so many bytes of it are left to read.
    case loaded(Int64)
  }

  private func bytes(
    of slice: ShardSlice,
    inShard shard: Int,
    _ use: FieldUse,
    _ sampleBytes: inout Int64
  ) -> SliceBytes {
    let size = cache.shards[shard].sizeBytes
    guard let (index, plane) = cache.indexAndPlane(ofShard: shard), index.sampleCount > 0 else {
      if use.skipsSome, cache.isLikelyPlain(shard) { return .parts([], isAll: false) }
      return cache.isLikelyPlain(shard) ? .range(0..<size) : .whole(size)
    }
    sampleBytes = min(sampleBytes, meanBytes(of: index))
    let first = slice.isPermuted ? slice.lowerBound : slice.next
    let last = min(slice.upperBound ?? index.sampleCount, index.sampleCount) - 1
    let end = index.isComplete ? index.span(ofSample: max(0, last)).upperBound : size
    let start = first < index.sampleCount ? index.span(ofSample: first).lowerBound : end
    if plane == .inflated { return .loaded(max(0, end - start)) }
    let range = start..<max(start, min(size, end))
    guard use.skipsSome else { return .range(range) }
    // Each costs its chunk.
    sampleBytes = min(sampleBytes, FieldUse.largeBytes)
    let known = range.clamped(to: 0..<index.span(ofSample: index.sampleCount - 1).upperBound)
    let parts = use.opened(known, fromSample: first, in: index, maxCount: Self.maxParts)
    return .parts(parts, isAll: index.isComplete)
  }
}
