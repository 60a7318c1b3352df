/// What was consumed of an epoch, lane by lane: ranges of each lane's own offsets.
///
/// Between the positions of one world size and those of another that shares its lanes, this is the
/// common tongue.
struct LaneTaken: Sendable {
  /// By lane: disjoint, ascending; a bound of `Int.max` stands for the lane's end.
  private(set) var ranges: [[Range<Int>]]

  init(laneCount: Int) {
    ranges = Array(repeating: [], count: laneCount)
  }

  subscript(lane: Int) -> [Range<Int>] { ranges[lane] }

  func isWhole(_ lane: Int) -> Bool { ranges[lane] == [0..<Int.max] }

  /// Adds what one rank consumed.
  ///
  /// - Parameters:
  ///   - consumed: By the rank's positions.
  ///   - lanes: The rank's lanes, in the order in which it takes turns.
  ///   - rounds: Of those lanes, decided as far as `consumed` reaches.
  mutating func add(_ consumed: Consumed, lanes: [Int], rounds: Rounds) {
    if consumed == .all {
      for lane in lanes {
        close(lane)
      }
      return
    }
    var added = lanes.map { _ in [Range<Int>]() }
    for range in consumed.allRanges {
      for place in lanes.indices {
        let lower = rounds.given(by: place, before: range.lowerBound)
        added[place].append(lower..<rounds.given(by: place, before: range.upperBound))
      }
    }
    for (lane, more) in zip(lanes, added) {
      ranges[lane] = (ranges[lane] + more).merged()
    }
  }

  /// Whether the sample that a lane gives at an offset was consumed.
  func contains(_ offset: Int, ofLane lane: Int) -> Bool {
    let own = ranges[lane]
    guard let first = own.first, first.lowerBound <= offset else { return false }
    return offset < own[own.lastPlace { $0.lowerBound <= offset }].upperBound
  }

  /// How many of the first samples of a lane were consumed.
  func count(below offset: Int, ofLane lane: Int) -> Int {
    var count = 0
    for range in ranges[lane] where range.lowerBound < offset {
      count += min(range.upperBound, offset) - range.lowerBound
    }
    return count
  }

  /// Notes that a lane is consumed to its end.
  mutating func close(_ lane: Int) {
    ranges[lane] = [0..<Int.max]
  }
}
