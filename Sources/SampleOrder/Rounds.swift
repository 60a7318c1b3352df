/// Takes turns between lanes: one sample of each, passing over lanes that have ended.
///
/// Lanes may be of any length, and of some only a lower bound may be known: turns are decided as
/// far as that reaches.
struct Rounds: Hashable, Sendable {
  enum Turn: Hashable, Sendable {
    case lane(Int, offset: Int)

    /// Whether this lane takes part is not known.
    case undecided(lane: Int)

    case end
  }

  /// By lane: its length, or `Int.max` where that is not known.
  private var ends: [Int]

  /// Of the lanes that end, sorted by length: that length, and the position at which its last
  /// round is over.
  private var steps: [(end: Int, position: Int)] = []

  /// The first turn that is not decided.
  private var undecided: (offset: Int, lane: Int)?

  /// The number of positions, once every lane's length is known.
  private(set) var length: Int?

  init(laneLengths: [SampleCount]) {
    ends = []
    update(laneLengths)
  }

  /// Takes what is now known of the lanes' lengths.
  ///
  /// - Complexity: O(lanes · log lanes).
  mutating func update(_ laneLengths: [SampleCount]) {
    ends = laneLengths.map { $0.isExact ? $0.lowerBound : Int.max }
    steps.removeAll(keepingCapacity: true)
    var (position, round) = (0, 0)
    var active = ends.count
    for end in ends.sorted() where end < Int.max {
      position += (end - round) * active
      active -= 1
      round = end
      steps.append((end, position))
    }
    length = active == 0 ? position : nil
    undecided = nil
    for (lane, length) in laneLengths.enumerated() where !length.isExact {
      if let known = undecided, known.offset <= length.lowerBound { continue }
      undecided = (length.lowerBound, lane)
    }
  }

  /// Whose turn it is at a position.
  ///
  /// - Complexity: O(log lanes), and O(lanes) once one has ended; no allocation.
  func turn(at position: Int) -> Turn {
    let done = endedLanes(at: position)
    let active = ends.count - done
    guard active > 0 else { return .end }
    let (round, start) = done == 0 ? (0, 0) : (steps[done - 1].end, steps[done - 1].position)
    let (rounds, place) = (position - start).quotientAndRemainder(dividingBy: active)
    let offset = round + rounds
    let lane = done == 0 ? place : activeLane(place, at: offset)
    if let undecided, (undecided.offset, undecided.lane) <= (offset, lane) {
      return .undecided(lane: undecided.lane)
    }
    return .lane(lane, offset: offset)
  }

  /// How many samples a lane has given before a position is reached.
  ///
  /// Where turns are undecided, lanes that may go on are taken to do so.
  func given(by lane: Int, before position: Int) -> Int {
    let done = endedLanes(at: position)
    let active = ends.count - done
    guard active > 0 else { return ends[lane] }
    let (round, start) = done == 0 ? (0, 0) : (steps[done - 1].end, steps[done - 1].position)
    let (rounds, place) = (position - start).quotientAndRemainder(dividingBy: active)
    let offset = round + rounds
    guard ends[lane] > offset else { return ends[lane] }
    var turnsBefore = lane
    if done > 0 {
      turnsBefore = 0
      for other in 0..<lane where ends[other] > offset {
        turnsBefore += 1
      }
    }
    return turnsBefore < place ? offset + 1 : offset
  }

  /// The lane whose turn is the `place`-th of a round, among those that are longer than `offset`.
  private func activeLane(_ place: Int, at offset: Int) -> Int {
    var place = place
    for lane in ends.indices where ends[lane] > offset {
      if place == 0 { return lane }
      place -= 1
    }
    preconditionFailure("round \(offset) has no lane \(place)")
  }

  /// How many lanes have given their last sample, and had the round ended, before the position.
  private func endedLanes(at position: Int) -> Int {
    var (low, high) = (0, steps.count)
    while low < high {
      let middle = (low + high) / 2
      if steps[middle].position <= position {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  static func == (left: Rounds, right: Rounds) -> Bool { left.ends == right.ends }

  func hash(into hasher: inout Hasher) {
    hasher.combine(ends)
  }
}
