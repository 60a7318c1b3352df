/// Which positions of a rank's epoch are consumed: all below one, and ranges beyond it.
///
/// Small for readers that go forward, in whatever order a few workers answer.
package struct Consumed: Hashable, Sendable {
  package static let none = Consumed()

  /// Every position, however many there are: what a rank has consumed of an epoch it has left.
  package static let all = Consumed(below: Int.max)

  /// Every position below is consumed, and this one is not.
  package private(set) var next: Int

  /// Disjoint, ascending, not touching; those before `first` are spent.
  private var ranges: [Range<Int>] = []

  /// How many of `ranges` the next position has passed.
  ///
  /// They are dropped by and by, since taking the first element off an array moves all others.
  private var first = 0

  package init(below next: Int = 0) {
    self.next = max(0, next)
  }

  /// The consumed ranges beyond `next`, ascending; none touches another, nor `next`.
  package var beyond: ArraySlice<Range<Int>> { ranges[first...] }

  package var isEmpty: Bool { next == 0 && beyond.isEmpty }

  /// How many positions are consumed.
  package var count: Int { beyond.reduce(next) { $0 + $1.count } }

  /// All consumed ranges, ascending, that from 0 included.
  package var allRanges: [Range<Int>] {
    (next > 0 ? [0..<next] : []) + beyond
  }

  package func contains(_ position: Int) -> Bool {
    guard position >= next else { return position >= 0 }
    let place = place(endingAfter: position)
    return place < ranges.count && ranges[place].contains(position)
  }

  /// The first position from the given one on that is not consumed.
  ///
  /// That a listing shows next; it may lie beyond the epoch's end.
  package func firstLeft(from position: Int) -> Int {
    guard position >= next else { return next }
    let place = place(endingAfter: position)
    guard place < ranges.count, ranges[place].contains(position) else { return position }
    return ranges[place].upperBound
  }

  package mutating func insert(_ position: Int) {
    guard position >= 0, position < Int.max else { return }
    insert(position..<position + 1)
  }

  /// Adds a range; what of it is consumed already changes nothing.
  ///
  /// - Complexity: O(log ranges) at either end; in the middle, the ranges after it move.
  package mutating func insert(_ range: Range<Int>) {
    guard !range.isEmpty, range.upperBound > next else { return }
    var lower = max(0, range.lowerBound)
    var upper = range.upperBound
    let begin = place(endingAfter: lower - 1)
    var end = begin
    while end < ranges.count, ranges[end].lowerBound <= upper {
      lower = min(lower, ranges[end].lowerBound)
      upper = max(upper, ranges[end].upperBound)
      end += 1
    }
    if lower <= next {
      next = upper
      first = end
      compact()
    } else if end == begin + 1 {
      ranges[begin] = lower..<upper
    } else {
      ranges.replaceSubrange(begin..<end, with: CollectionOfOne(lower..<upper))
    }
  }

  package mutating func formUnion(_ other: Consumed) {
    let merged = (allRanges + other.allRanges).merged()
    self = Consumed(merging: merged)
  }

  /// - Parameter ranges: Disjoint, ascending, not touching, none negative.
  init(merging ranges: [Range<Int>]) {
    next = 0
    self.ranges = ranges.filter { !$0.isEmpty }
    if let head = self.ranges.first, head.lowerBound <= 0 {
      next = head.upperBound
      first = 1
      compact()
    }
  }

  /// The first range that ends beyond a position.
  private func place(endingAfter position: Int) -> Int {
    var (low, high) = (first, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound <= position {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  private mutating func compact() {
    guard first > 32, first * 2 > ranges.count || first == ranges.count else {
      if first == ranges.count {
        ranges.removeAll(keepingCapacity: true)
        first = 0
      }
      return
    }
    ranges.removeFirst(first)
    first = 0
  }

  package static func == (left: Consumed, right: Consumed) -> Bool {
    left.next == right.next && left.beyond.elementsEqual(right.beyond)
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(next)
    for range in beyond {
      hasher.combine(range)
    }
  }
}
