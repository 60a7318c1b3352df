/// Which positions of a rank's epoch are consumed: all below one, and ranges beyond it.
///
/// Small for readers that go forward, in whatever order a few workers answer.
package struct Consumed: Hashable, Sendable {
  package static let none = Consumed()

  /// Every position, however many there are: what a rank has consumed of an epoch it has left.
  package static let all = Consumed(below: Int.max)

  /// Every position below is consumed, and this one is not.
  package private(set) var next: Int

  /// Beyond `next`, by and by.
  private var ranges = ChunkedRanges()

  package init(below next: Int = 0) {
    self.next = max(0, next)
  }

  /// The consumed ranges beyond `next`, ascending; none touches another, nor `next`.
  package var beyond: [Range<Int>] { ranges.all }

  /// How many ranges are beyond `next`.
  package var gapCount: Int { ranges.count }

  package var isEmpty: Bool { next == 0 && ranges.isEmpty }

  /// How many positions are consumed.
  package var count: Int { ranges.all.reduce(next) { $0 + $1.count } }

  /// All consumed ranges, ascending, that from 0 included.
  package var allRanges: [Range<Int>] {
    (next > 0 ? [0..<next] : []) + ranges.all
  }

  package func contains(_ position: Int) -> Bool {
    guard position >= next else { return position >= 0 }
    return ranges.range(endingAfter: position)?.contains(position) ?? false
  }

  /// The first position from the given one on that is not consumed.
  ///
  /// That a listing shows next; it may lie beyond the epoch's end.
  package func firstLeft(from position: Int) -> Int {
    guard position >= next else { return next }
    guard let range = ranges.range(endingAfter: position), range.contains(position) else {
      return position
    }
    return range.upperBound
  }

  package mutating func insert(_ position: Int) {
    guard position >= 0, position < Int.max else { return }
    insert(position..<position + 1)
  }

  /// Adds a range; what of it is consumed already changes nothing.
  ///
  /// - Complexity: About O(√ranges), so that even reading in random order stays cheap.
  package mutating func insert(_ range: Range<Int>) {
    guard !range.isEmpty, range.upperBound > next else { return }
    if range.lowerBound <= next {
      next = ranges.removeAll(touching: next..<range.upperBound)
    } else {
      ranges.insert(range)
    }
  }

  package mutating func formUnion(_ other: Consumed) {
    self = Consumed(merging: (allRanges + other.allRanges).merged())
  }

  /// - Parameter merged: Disjoint, ascending, not touching, none negative.
  init(merging merged: [Range<Int>]) {
    let ranges = merged.filter { !$0.isEmpty }
    guard let head = ranges.first, head.lowerBound <= 0 else {
      next = 0
      self.ranges = ChunkedRanges(ranges[...])
      return
    }
    next = head.upperBound
    self.ranges = ChunkedRanges(ranges.dropFirst())
  }
}
