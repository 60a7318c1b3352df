import Remote
import ShardCache
import Synchronization

/// Read-ahead for whole shards, which are copied or read by loaders of tars.
extension MountTree {
  /// A piece that one request brings.
  private static let rawPieceBytes: Int64 = 4 << 20

  /// What is fetched ahead of who has just begun, and of who goes on: as many requests as it takes to
  /// fill a line of 60 MB/s a connection.
  private static let rawPieceCounts: (first: Int64, later: Int64) = (4, 16)

  /// A raw shard is read at an offset: what comes next is wanted too by whoever goes forward.
  ///
  /// - Parameters:
  ///   - place: Of the shard in its split.
  ///   - split: That it belongs to.
  ///   - offset: In the shard.
  ///   - count: Bytes that are asked for.
  func advanceShardFile(_ place: Int, ofSplit split: Int, to offset: Int64, count: Int) {
    let shards = dataset.splits[split].shards
    let shard = shards[place]
    let last = place > 0 ? shards[place - 1] : nil
    let (plan, isNextWanted) = rawReads.withLock { reads in
      let plan = reads.step(shard, to: offset, count: count, planEvery: Self.rawPieceBytes)
      let isNextWanted = reads.isWhole(shard) && last.map { reads.isWhole($0) } == true
      return (plan, isNextWanted)
    }
    var rest = Self.rawPieceBytes
    switch plan {
    case .nothing: return
    case .first: rest *= isNextWanted ? Self.rawPieceCounts.later : Self.rawPieceCounts.first
    case .next: rest *= Self.rawPieceCounts.later
    }
    var pieces: [ShardReader.Upcoming] = []
    func add(_ shard: Int, from start: Int64) {
      var start = start
      let size = cache.shards[shard].sizeBytes
      while start < size, rest > 0 {
        let end = start + min(size - start, Self.rawPieceBytes)
        pieces.append(ShardReader.Upcoming(shard: shard, range: start..<end))
        rest -= end - start
        start = end
      }
    }
    add(shard, from: min(offset, cache.shards[shard].sizeBytes))
    // Who has read one shard after the other goes on with the next.
    if isNextWanted, place + 1 < shards.count { add(shards[place + 1], from: 0) }
    cache.readAhead(pieces, ofStream: -1 - shard)
    if let last, isNextWanted { cache.readAhead([], ofStream: -1 - last) }
  }
}

/// Where raw shards are being read, to tell who goes forward from who jumps about.
struct RawReads {
  /// What is to be worked out anew of what to fetch ahead.
  enum Plan {
    case nothing

    /// It has just shown that the reader goes forward.
    case first
    case next
  }

  private struct Reading {
    var start: Int64
    var end: Int64

    /// Where the last plan began; nil while it is not known that the reader goes forward.
    var planned: Int64?
  }

  private var readings: [Int: Reading] = [:]

  /// Beyond this many, the old ones are forgotten; a reader that goes on is soon known again.
  private static let maxCount = 256

  /// The kernel's read-ahead may overtake a read by this much.
  private static let nearBytes: Int64 = 2 << 20

  /// Takes up that a shard is read.
  ///
  /// - Parameters:
  ///   - shard: Of the cache.
  ///   - offset: In the shard.
  ///   - count: Bytes that are asked for.
  ///   - planBytes: Once the reader goes forward, a plan is due so often.
  /// - Returns: Whether one is due.
  mutating func step(
    _ shard: Int,
    to offset: Int64,
    count: Int,
    planEvery planBytes: Int64
  ) -> Plan {
    let (sum, isOver) = offset.addingReportingOverflow(Int64(count))
    let end = isOver ? Int64.max : sum
    guard var reading = readings[shard], abs(offset - reading.end) <= Self.nearBytes else {
      if readings[shard] == nil, readings.count >= Self.maxCount {
        readings.removeAll(keepingCapacity: true)
      }
      readings[shard] = Reading(start: offset, end: end)
      return .nothing
    }
    reading.end = end
    readings[shard] = reading
    // The same read comes again after it has waited.
    guard offset > reading.start else { return .nothing }
    defer { readings[shard] = reading }
    guard let planned = reading.planned else {
      reading.planned = offset
      return .first
    }
    guard offset < planned || offset - planned >= planBytes else { return .nothing }
    reading.planned = offset
    return .next
  }

  /// Whether a shard is, or was, read from its front.
  func isWhole(_ shard: Int) -> Bool { readings[shard]?.start == 0 }
}
