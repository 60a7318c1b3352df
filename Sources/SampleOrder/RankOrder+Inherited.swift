extension RankOrder {
  /// Whether earlier legs consumed what stands at a position.
  ///
  /// Such a position opens as ever but is not listed.
  package func isInherited(_ position: Int) -> Bool {
    guard let taken else { return false }
    if isOver { return true }
    guard case .lane(let lane, let offset) = turn(at: position) else { return false }
    return taken.contains(offset, ofLane: rank + lane * worldSize)
  }

  /// The first position from the given one on that no earlier leg consumed.
  ///
  /// - Parameter position: From 0.
  /// - Returns: At most the length, if that is known; `Int.max` where all is over.
  package func firstNotInherited(from position: Int) -> Int {
    guard taken != nil else { return position }
    if isOver { return Int.max }
    guard isInherited(position) else { return position }
    let left = left(before: position)
    var (low, step) = (position + 1, 1)
    while self.left(before: low + step) == left {
      low += step
      step *= 2
      // No rank has as many samples: all that follows is inherited.
      if low > DatasetShape.maxSamples { return length ?? Int.max }
    }
    var high = low + step
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if self.left(before: middle) == left {
        low = middle
      } else {
        high = middle
      }
    }
    return min(low, length ?? low)
  }

  /// The first position from the given one on that is listed.
  ///
  /// - Parameters:
  ///   - position: From 0.
  ///   - consumed: Of the present leg, as it was when the listing's generation began.
  /// - Returns: The epoch's length or more where nothing is left.
  package func firstLeft(from position: Int, _ consumed: Consumed) -> Int {
    var position = max(0, position)
    while true {
      let left = consumed.firstLeft(from: position)
      guard left < Int.max else { return left }
      position = firstNotInherited(from: left)
      if position == left { return position }
    }
  }

  /// Whether the first `position` samples exist, so that they can be committed.
  ///
  /// - Returns: nil where that cannot be told before more is counted.
  package func holds(_ position: Int) -> Bool? {
    if position <= 0 { return position == 0 }
    if let length { return position <= length }
    switch place(at: position - 1) {
    case .sample: return true
    case .unknown: return nil
    case .end: return false
    }
  }

  /// How many positions below one no earlier leg consumed, those beyond the end among them.
  private func left(before position: Int) -> Int {
    guard let taken else { return position }
    var inherited = 0
    for lane in 0..<laneCount {
      let given = given(by: lane, before: position)
      inherited += taken.count(below: given, ofLane: rank + lane * worldSize)
    }
    return position - inherited
  }
}
