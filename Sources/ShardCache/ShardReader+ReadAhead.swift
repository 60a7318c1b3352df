import Remote
import Synchronization

extension ShardReader {
  /// What a stream will read next of a shard.
  package struct Upcoming {
    package let shard: Int

    /// In the stored plane; nil where the shard can only be read whole.
    package let range: Range<Int64>?

    /// Whether its samples come in another order than they lie in, so that none of it is nearest.
    package let isPermuted: Bool

    package init(shard: Int, range: Range<Int64>?, isPermuted: Bool = false) {
      self.shard = shard
      self.range = range
      self.isPermuted = isPermuted
    }
  }

  /// Replaces what a stream will need next, nearest first.
  ///
  /// - Parameters:
  ///   - upcoming: As far as the read-ahead window reaches; empty ends the stream.
  ///   - stream: Names the reader, for example the number of its pass.
  package func readAhead(_ upcoming: [Upcoming], ofStream stream: Int) {
    var spans: [ReadAhead.Span] = []
    var nearBytes = nearBytes(ofStream: stream)
    for next in upcoming {
      guard let range = next.range, shards[next.shard].acceptsRanges else {
        // What can only be read whole is, and its index comes with it.
        beginIndex(ofShard: next.shard, isWanted: true)
        continue
      }
      beginIndex(ofShard: next.shard)
      let bytes = max(0, shards[next.shard].sizeBytes)
      let wanted = range.clamped(to: 0..<bytes)
      // At a chunk's end, so that none is in both parts.
      let chunkBytes = Int64(ChunkID.sizeBytes)
      let nearEnd = (wanted.lowerBound + nearBytes + chunkBytes - 1) / chunkBytes * chunkBytes
      let isNear = nearBytes > 0 && !(next.isPermuted && disk != nil)
      let border = isNear ? min(wanted.upperBound, nearEnd) : wanted.lowerBound
      for (part, isNear) in [
        (wanted.lowerBound..<border, true), (border..<wanted.upperBound, false),
      ] where !part.isEmpty {
        spans.append(
          ReadAhead.Span(
            shard: Int32(next.shard),
            plane: .stored,
            planeBytes: bytes,
            chunks: ChunkID.numbers(holding: part),
            bytes: part,
            isNear: isNear
          )
        )
        Self.joinLast(&spans)
      }
      // A sample takes up its whole chunk's place in memory, unless the one before has.
      let near = ChunkID.numbers(holding: wanted.lowerBound..<border)
      let isNew = spans.dropLast().last.map {
        $0.shard != Int32(next.shard) || !$0.chunks.overlaps(near)
      }
      nearBytes = max(0, nearBytes - Int64(near.count - (isNew == false ? 1 : 0)) * chunkBytes)
    }
    fetches.withLock { fetches in
      guard !fetches.isClosed else { return }
      fetches.readAhead.replace(spans, of: stream)
    }
    pump()
  }

  /// Has a chunk that two spans in a row want brought whole.
  private static func joinLast(_ spans: inout [ReadAhead.Span]) {
    guard let last = spans.indices.last, last > 0 else { return }
    let (before, span) = (spans[last - 1], spans[last])
    guard before.shard == span.shard, before.chunks.overlaps(span.chunks) else { return }
    spans[last - 1].bytes = nil
    spans[last].bytes = nil
  }

  /// How far ahead chunks are brought from disk to memory at most: some 10 ms of a fast reader.
  private static let maxNearBytes: Int64 = 16 << 20

  /// The part of the memory that such chunks of all streams may take, or they would push each other
  /// out before they are read.
  private static let nearShare = 3

  private func nearBytes(ofStream stream: Int) -> Int64 {
    // Without a disk all of it is to come to memory, and nothing is cut in two.
    guard disk != nil else { return Self.maxObjectBytes }
    let streamCount = fetches.withLock { $0.readAhead.streamCount(with: stream) }
    let shared = Int64(settings.maxSlotCount) * Int64(ChunkID.sizeBytes) / Int64(Self.nearShare)
    return min(Self.maxNearBytes, shared / Int64(streamCount))
  }

  /// Whether a shard's name promises a plain tar, so that fetching ahead of its index is no waste.
  package func isLikelyPlain(_ shard: Int) -> Bool {
    shards[shard].acceptsRanges && shards[shard].key.bytes.suffix(4).elementsEqual(".tar".utf8)
  }

  /// A sample is brought so many places ahead of its reader at most.
  private static let maxNearSamples = 8

  /// How many places ahead of its reader a sample that lies apart is best brought from disk.
  ///
  /// Each takes up a chunk's place in memory, and with many readers they would push each other out.
  ///
  /// - Returns: 0 where there are too many readers, or no disk.
  package var nearSampleCount: Int {
    guard disk != nil else { return 0 }
    let streamCount = fetches.withLock { $0.readAhead.streamCount }
    return min(Self.maxNearSamples, settings.maxSlotCount / Self.nearShare / max(1, streamCount))
  }

  /// Loads what of a sample lies on disk, for a reader who is at it or soon will be.
  ///
  /// One of more than a chunk's size is left to its reads.
  ///
  /// - Parameters:
  ///   - range: In the stored plane.
  ///   - shard: Its number.
  package func bringNear(_ range: Range<Int64>, ofShard shard: Int) {
    guard let disk, range.count <= ChunkID.sizeBytes else { return }
    let bytes = shards[shard].sizeBytes
    let orders = fetches.withLock { fetches -> Orders in
      var orders = Orders()
      guard !fetches.isClosed else { return orders }
      for number in ChunkID.numbers(holding: range.clamped(to: 0..<max(0, bytes))) {
        let chunk = ChunkID(shard: Int32(shard), plane: .stored, number: number)
        guard fetches.plan.lacks(chunk, chunk.part(of: range)),
          disk.holds(chunk, of: identities[shard])
        else { continue }
        guard enter(chunk, number + 1, bytes, range, .sample, &fetches, &orders) else { break }
      }
      return orders
    }
    carryOut(orders)
  }

  /// Starts as many fetches ahead as may be under way.
  ///
  /// One thread at a time: a store that refuses at once would have it call itself without end.
  func pump() {
    guard fetches.withLock({ $0.pumping.enter() }) else { return }
    var isOver = false
    while !isOver {
      let (orders, isDone) = fetches.withLock { fetches -> (Orders, Bool) in
        var orders = Orders()
        let isStarted = beginNext(&fetches, &orders)
        return (orders, !isStarted && fetches.pumping.leave())
      }
      carryOut(orders)
      isOver = isDone
    }
  }

  /// Begins the next run of chunks, where one is wanted and there is room.
  private func beginNext(_ fetches: inout Fetches, _ orders: inout Orders) -> Bool {
    fetches.starvedAt = nil
    guard !fetches.isClosed, fetches.aheadCount < settings.maxFetchCount,
      let next = nextRun(&fetches)
    else { return false }
    let first = ChunkID(shard: next.shard, plane: next.plane, number: next.chunks.lowerBound)
    func enterNext() -> Bool {
      let end = next.chunks.upperBound
      return enter(first, end, next.planeBytes, next.bytes, .ahead, &fetches, &orders)
    }
    var isEntered = enterNext()
    if !isEntered, let isStale = fetches.readAhead.staleness() {
      fetches.plan.passOver(where: isStale)
      // A part of the run may have been entered, and the rest is asked for anew.
      isEntered = orders.orders.isEmpty && enterNext()
    }
    if isEntered {
      fetches.readAhead.take(next)
    } else {
      fetches.starvedAt = fetches.plan.caughtUpCount
    }
    return isEntered
  }

  private func nextRun(_ fetches: inout Fetches) -> ReadAhead.Span? {
    let plan = fetches.plan
    return fetches.readAhead.next { span in
      plan.firstMissing(
        in: span.chunks,
        ofShard: span.shard,
        plane: span.plane,
        of: span.bytes,
        maxLength: settings.maxRunLength
      ) { chunk in
        guard let disk, !span.isNear else { return false }
        return disk.holds(chunk, of: identities[Int(span.shard)])
      }
    }
  }
}

extension ShardReader.Fetches {
  /// Whether a reader has made room since read-ahead found none.
  var isAheadFree: Bool {
    guard let starvedAt else { return false }
    return plan.caughtUpCount > starvedAt
  }
}
