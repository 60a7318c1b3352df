import Remote
import ShardCache
import Synchronization
import TarIndex

/// `/.streams/<split>/<rank>.tar`: what remains of a rank's epoch as one tar, made as it is read.
///
/// Whole samples in the rank's order, each member as `<key>.<field>`. Where a sample begins in the
/// tar follows from those before it, so a few places are remembered and the rest is walked from the
/// nearest of them; who reads from front to back never walks.
final class SampleStream: Sendable {
  /// Where a sample begins in the tar.
  private struct Mark {
    var offset: Int64
    var position: Int
  }

  private struct State {
    /// Every so many samples, ascending; the first is the tar's begin.
    var marks = [Mark(offset: 0, position: 0)]

    /// Where the last read ended, which is where the next one begins.
    var latest = Mark(offset: 0, position: 0)
    var samplesSinceMark = 0

    /// Where the tar ends, once that was reached.
    var end: Int64?

    /// Samples that were handed out and do not count yet, in the order of their ends.
    var delivered: [(end: Int64, position: Int)] = []
  }

  /// A place a 64 samples: 16 bytes each, and a walk of at most as many index look-ups.
  private static let samplesPerMark = 64

  let pass: Pass
  private let state = Mutex(State())

  init(_ pass: Pass) {
    self.pass = pass
  }

  /// The tar's size once its end was reached; before that, no less.
  ///
  /// A header takes 512 bytes in a shard and may want 1024 more here, where the shard has a number
  /// of its own format.
  func maxBytes(in tree: MountTree) -> Int64 {
    if let end = state.withLock({ $0.end }) { return end }
    let shards = tree.dataset.splits[pass.split].shards
    let bytes = shards.reduce(0) { sum, shard in
      Self.sum(sum, Self.product(Self.tarBytes(shard, tree.cache), 3))
    }
    // What is repeated to make ranks equal is at most the whole for each sample.
    let repeats = tree.run.repeats ? Int64(pass.length ?? 1) : 1
    return Self.sum(Self.product(bytes, max(1, repeats)), Int64(TarMemberHeader.endBytes))
  }

  /// The bytes of a shard's tar, or more where it is compressed and was not read yet.
  private static func tarBytes(_ shard: Int, _ cache: ShardReader) -> Int64 {
    if let (index, plane) = cache.indexAndPlane(ofShard: shard), index.isComplete,
      plane == .inflated
    {
      return index.sampleCount == 0 ? 0 : index.span(ofSample: index.sampleCount - 1).upperBound
    }
    let bytes = cache.shards[shard].sizeBytes
    return cache.isLikelyPlain(shard) ? bytes : product(bytes, maxInflation)
  }

  /// Zeros shrink further in no format that is read but those that are made to be bombs.
  private static let maxInflation: Int64 = 1 << 20

  private static func sum(_ left: Int64, _ right: Int64) -> Int64 {
    let (sum, isOver) = left.addingReportingOverflow(right)
    return isOver ? Int64.max : sum
  }

  private static func product(_ left: Int64, _ right: Int64) -> Int64 {
    let (product, isOver) = left.multipliedReportingOverflow(by: right)
    return isOver ? Int64.max : product
  }

  /// Reads a part of the tar.
  ///
  /// - Parameters:
  ///   - part: Is filled; less comes at the end only.
  ///   - tree: Finds the samples.
  ///   - served: Called with each position that counts as consumed from now on: what is asked for lies
  ///     so far beyond all its bytes that its reader has seen them, or the end was reached.
  /// - Throws: `Obstacle`; what is missing is then asked for.
  func read(
    _ part: inout StreamPart,
    in tree: MountTree,
    served: (Int) -> Void
  ) throws(Obstacle) {
    var mark = start(before: part.offset)
    let seen = part.offset - KernelReadAhead.maxBytesAhead
    for position in takeDelivered(before: seen) { served(position) }
    while !part.isFull {
      // Beyond all numbers where earlier legs left nothing.
      let position = min(pass.firstListed(from: mark.position), Node.maxPositions)
      let sample: Sample
      do throws(Obstacle) {
        sample = try tree.locate(position, in: pass)
        // Finding it may have shown that it was consumed before a resume.
        guard pass.firstListed(from: position) == position else { continue }
      } catch {
        guard case .failure(.noSuchEntry) = error else { throw error }
        for position in takeDelivered(before: Int64.max) { served(position) }
        let end = mark.offset + Int64(TarMemberHeader.endBytes)
        state.withLock { $0.end = end }
        part.appendZeros(from: mark.offset, to: end)
        return
      }
      mark.position = position
      let end = try append(sample, from: mark, in: tree, to: &part)
      guard end <= part.end else { return }
      if end <= seen {
        served(position)
      } else {
        deliver(position, end: end)
      }
      mark = Mark(offset: end, position: position + 1)
      remember(mark)
    }
  }

  private func deliver(_ position: Int, end: Int64) {
    state.withLock { state in
      let place = state.delivered.lastIndex { $0.end <= end }
      if let place, state.delivered[place].position == position { return }
      state.delivered.insert((end, position), at: place.map { $0 + 1 } ?? 0)
    }
  }

  private func takeDelivered(before offset: Int64) -> [Int] {
    state.withLock { state in
      let count = state.delivered.firstIndex { $0.end > offset } ?? state.delivered.count
      guard count > 0 else { return [] }
      defer { state.delivered.removeFirst(count) }
      return state.delivered.prefix(count).map(\.position)
    }
  }

  // MARK: Places

  private func start(before offset: Int64) -> Mark {
    state.withLock { state in
      if state.latest.offset <= offset, state.latest.offset >= state.marks.last?.offset ?? 0 {
        return state.latest
      }
      var (low, high) = (0, state.marks.count)
      while high - low > 1 {
        let middle = (low + high) / 2
        if state.marks[middle].offset <= offset { low = middle } else { high = middle }
      }
      return state.marks[low]
    }
  }

  private func remember(_ mark: Mark) {
    state.withLock { state in
      guard mark.offset > state.latest.offset else { return }
      state.latest = mark
      state.samplesSinceMark += 1
      guard state.samplesSinceMark == Self.samplesPerMark else { return }
      state.samplesSinceMark = 0
      state.marks.append(mark)
    }
  }

  // MARK: Bytes

  /// Adds what of a sample lies in the wanted part.
  ///
  /// - Returns: Where the sample ends in the tar.
  private func append(
    _ sample: Sample,
    from mark: Mark,
    in tree: MountTree,
    to part: inout StreamPart
  ) throws(Obstacle) -> Int64 {
    tree.advance(pass, to: mark.position, at: sample)
    let key = sample.index.withKey(ofSample: sample.number) { Array($0) }
    var place = mark.offset
    for ordinal in sample.index.fieldOrdinals(ofSample: sample.number) {
      let member = sample.index.member(ordinal)
      guard !member.isSparse else {
        let node = Node.sample(pass: pass.number, position: mark.position)
        let shard = tree.cache.shards[sample.shard].key
        throw .failure(.sparseField(path: tree.path(of: node), shard: shard))
      }
      let header = TarMemberHeader(
        name: sample.index.withFieldName(ordinal) { key + [UInt8(ascii: ".")] + $0 },
        sizeBytes: member.sizeBytes,
        modifiedSeconds: member.modifiedSeconds
      )
      header.bytes.withUnsafeBytes { part.append($0, from: place) }
      place += Int64(header.bytes.count)
      try append(member, of: sample, from: place, in: tree, to: &part)
      place += member.sizeBytes
      let padded = place + Int64(TarMemberHeader.paddingBytes(after: member.sizeBytes))
      part.appendZeros(from: place, to: padded)
      place = padded
    }
    return place
  }

  private func append(
    _ member: ShardIndex.Member,
    of sample: Sample,
    from place: Int64,
    in tree: MountTree,
    to part: inout StreamPart
  ) throws(Obstacle) {
    while let wanted = part.wanted(of: place..<place + member.sizeBytes) {
      let count = min(Int64(wanted.count), Int64(ShardReader.maxReadBytes))
      let start = member.dataOffset + (wanted.lowerBound - place)
      let range = start..<start + count
      let isThere = tree.cache.withBytes(range, ofShard: sample.shard, plane: sample.plane) {
        part.append($0, from: wanted.lowerBound)
        part.append($1, from: wanted.lowerBound + Int64($0.count))
        return true
      }
      guard isThere == true else {
        throw .pending(.bytes(range, shard: sample.shard, plane: sample.plane))
      }
    }
  }
}
