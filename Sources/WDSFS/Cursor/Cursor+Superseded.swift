package import SampleOrder

extension Cursor {
  /// Whether all that this cursor says is in the earlier legs of another.
  ///
  /// Nodes that resume at another world size do so one after the other: the first has saved its new
  /// leg while the others still find files of the old one. These say nothing new then. One that had
  /// got further than the new leg knows is not superseded, and cannot be merged either.
  package func isSuperseded(by newer: Cursor) -> Bool {
    guard (try? newer.checkRun(self)) == nil, splits.keys == newer.splits.keys else { return false }
    var then = newer
    var own = self
    then.ranks = nil
    own.ranks = nil
    for (name, split) in splits {
      guard let later = newer.splits[name] else { return false }
      if let place = later.place(of: split) {
        then.splits[name]?.present = later.earlier[place]
        then.splits[name]?.earlier = Array(later.earlier[..<place])
        own.splits[name]?.earlier = Array(later.earlier[..<place])
      } else if split.fingerprint == later.fingerprint, split.isOver(before: later.oldestEpoch) {
        // A leg of which nothing mattered any more is not kept.
        then.splits[name]?.present = split.present
        then.splits[name]?.earlier = split.earlier
      } else {
        return false
      }
    }
    guard let merged = try? Cursor.merge([then, own]) else { return false }
    return merged.cursor.splits == then.splits
  }
}

extension SplitCursor {
  /// Which of the earlier legs is the present one of another cursor.
  fileprivate func place(of other: SplitCursor) -> Int? {
    earlier.indices.first { place in
      let leg = earlier[place]
      return leg.worldSize == other.present.worldSize && leg.lanes == other.present.lanes
        && other.earlier.suffix(place) == earlier[..<place]
    }
  }

  /// Whether it says nothing of an epoch and those after it.
  fileprivate func isOver(before epoch: Int) -> Bool {
    present.ranks.allSatisfy {
      $0.epoch < epoch || ($0.epoch == epoch && $0.consumed.isEmpty)
    }
  }
}
