/// Disjoint ranges in ascending order, kept in chunks so that one in the middle moves few others.
struct ChunkedRanges: Sendable {
  /// None is empty.
  private var chunks: [[Range<Int>]] = []

  private(set) var count = 0

  /// A chunk of 4 KiB moves in less time than it takes to look for it.
  private static let maxChunk = 256

  init() {}

  /// - Parameter ranges: Disjoint, ascending, not touching.
  init(_ ranges: ArraySlice<Range<Int>>) {
    var rest = ranges
    while !rest.isEmpty {
      chunks.append(Array(rest.prefix(Self.maxChunk / 2)))
      rest = rest.dropFirst(Self.maxChunk / 2)
    }
    count = ranges.count
  }

  var isEmpty: Bool { chunks.isEmpty }

  var all: [Range<Int>] { Array(chunks.joined()) }

  /// The first range that ends beyond a position.
  func range(endingAfter position: Int) -> Range<Int>? {
    let place = place(endingAfter: position)
    return place.chunk < chunks.count ? chunks[place.chunk][place.range] : nil
  }

  /// Adds a range and joins it with those that it touches.
  mutating func insert(_ range: Range<Int>) {
    let begin = place(endingAfter: range.lowerBound - 1)
    guard begin.chunk < chunks.count else {
      append(range)
      return
    }
    let end = place(beginningAfter: range.upperBound)
    var joined = range
    if begin != end {
      let lower = chunks[begin.chunk][begin.range].lowerBound
      let last = end.range > 0 ? chunks[end.chunk][end.range - 1] : chunks[end.chunk - 1].last
      let upper = last?.upperBound ?? range.upperBound
      joined = min(lower, range.lowerBound)..<max(upper, range.upperBound)
    }
    if begin.chunk == end.chunk {
      count += 1 - (end.range - begin.range)
      chunks[begin.chunk].replaceSubrange(begin.range..<end.range, with: CollectionOfOne(joined))
    } else {
      removeFirst(end.range, ofChunk: end.chunk)
      for chunk in begin.chunk + 1..<max(end.chunk, begin.chunk + 1) {
        count -= chunks[chunk].count
      }
      count -= chunks[begin.chunk].count - begin.range
      chunks[begin.chunk].removeSubrange(begin.range...)
      chunks[begin.chunk].append(joined)
      count += 1
      chunks.removeSubrange(begin.chunk + 1..<max(end.chunk, begin.chunk + 1))
    }
    split(begin.chunk)
  }

  /// Removes every range that touches `range` or lies before it.
  ///
  /// - Parameter range: Begins before all of these.
  /// - Returns: Where it ends, joined with them.
  mutating func removeAll(touching range: Range<Int>) -> Int {
    let end = place(beginningAfter: range.upperBound)
    var upper = range.upperBound
    if end.range > 0 {
      upper = max(upper, chunks[end.chunk][end.range - 1].upperBound)
    } else if end.chunk > 0 {
      upper = max(upper, chunks[end.chunk - 1].last?.upperBound ?? upper)
    }
    removeFirst(end.range, ofChunk: end.chunk)
    for chunk in chunks[..<end.chunk] {
      count -= chunk.count
    }
    chunks.removeFirst(end.chunk)
    return upper
  }

  // MARK: Places

  private struct Place: Equatable {
    var chunk: Int
    var range: Int
  }

  private func place(endingAfter position: Int) -> Place {
    place { $0.upperBound > position }
  }

  private func place(beginningAfter position: Int) -> Place {
    place { $0.lowerBound > position }
  }

  /// The first range that fulfils what all after it do as well; past the last chunk if none does.
  private func place(where holds: (Range<Int>) -> Bool) -> Place {
    let chunk = chunks.firstPlace { $0.last.map(holds) ?? false }
    guard chunk < chunks.count else { return Place(chunk: chunk, range: 0) }
    return Place(chunk: chunk, range: chunks[chunk].firstPlace(where: holds))
  }

  // MARK: Chunks

  private mutating func append(_ range: Range<Int>) {
    count += 1
    if chunks.isEmpty { chunks.append([]) }
    chunks[chunks.count - 1].append(range)
    split(chunks.count - 1)
  }

  /// Removes ranges from the head of a chunk that has more of them, or none to remove.
  private mutating func removeFirst(_ removed: Int, ofChunk chunk: Int) {
    guard removed > 0 else { return }
    chunks[chunk].removeFirst(removed)
    count -= removed
  }

  private mutating func split(_ chunk: Int) {
    guard chunks[chunk].count > Self.maxChunk else { return }
    let half = Self.maxChunk / 2
    chunks.insert(Array(chunks[chunk][half...]), at: chunk + 1)
    chunks[chunk].removeSubrange(half...)
  }
}

extension ChunkedRanges: Hashable {
  static func == (left: Self, right: Self) -> Bool {
    left.count == right.count && left.chunks.joined().elementsEqual(right.chunks.joined())
  }

  func hash(into hasher: inout Hasher) {
    for range in chunks.joined() {
      hasher.combine(range)
    }
  }
}

extension Array {
  /// The first place whose element fulfils a condition that holds from some place on; else `count`.
  fileprivate func firstPlace(where holds: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) {
        high = middle
      } else {
        low = middle + 1
      }
    }
    return low
  }
}
