/// What is left of `0..<count` once ranges were taken out, and numbered anew from 0.
struct KeptRanges: Hashable, Sendable {
  /// Disjoint, not empty, ascending.
  private(set) var ranges: [Range<Int>]

  /// By range: how many are kept before it.
  private var starts: [Int]

  /// How many are kept.
  let count: Int

  /// - Parameter ranges: Disjoint and ascending; empty ones are left out.
  init(ranges: [Range<Int>]) {
    self.ranges = ranges.filter { !$0.isEmpty }
    starts = []
    starts.reserveCapacity(self.ranges.count)
    var total = 0
    for range in self.ranges {
      starts.append(total)
      total += range.count
    }
    count = total
  }

  /// The kept one of that number.
  subscript(number: Int) -> Int {
    let place = starts.lastPlace { $0 <= number }
    return ranges[place].lowerBound + (number - starts[place])
  }

  /// The kept range around a number, and where in it the number lies.
  func range(around number: Int) -> (range: Range<Int>, element: Int) {
    let place = starts.lastPlace { $0 <= number }
    return (ranges[place], ranges[place].lowerBound + (number - starts[place]))
  }

  /// How many kept ones lie before `element`.
  func number(before element: Int) -> Int {
    guard let first = ranges.first, element > first.lowerBound else { return 0 }
    let place = ranges.lastPlace { $0.lowerBound < element }
    return starts[place] + min(element - ranges[place].lowerBound, ranges[place].count)
  }

  /// What is left once more are taken out.
  ///
  /// They are given by number, that is, as kept ones are counted here; disjoint and ascending.
  func removing(_ taken: [Range<Int>]) -> KeptRanges {
    var left: [Range<Int>] = []
    var next = taken[...]
    for (range, start) in zip(ranges, starts) {
      var number = start
      let end = start + range.count
      while number < end {
        while let first = next.first, first.upperBound <= number {
          next.removeFirst()
        }
        guard let first = next.first, first.lowerBound < end else {
          left.append(range.lowerBound + (number - start)..<range.upperBound)
          break
        }
        if first.lowerBound > number {
          let lower = range.lowerBound + (number - start)
          left.append(lower..<lower + (first.lowerBound - number))
        }
        number = min(first.upperBound, end)
      }
    }
    return KeptRanges(ranges: left)
  }
}

extension [Range<Int>] {
  /// The same numbers as disjoint, ascending ranges that do not touch.
  func merged() -> [Range<Int>] {
    var result: [Range<Int>] = []
    for range in filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound <= last.upperBound {
        let upper = Swift.max(last.upperBound, range.upperBound)
        result[result.count - 1] = last.lowerBound..<upper
      } else {
        result.append(range)
      }
    }
    return result
  }
}

extension Array {
  /// The last place whose element fulfils a condition that holds up to some place and not beyond.
  ///
  /// The condition must hold for the first element.
  func lastPlace(where holds: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if holds(self[middle]) {
        low = middle
      } else {
        high = middle
      }
    }
    return low
  }
}
