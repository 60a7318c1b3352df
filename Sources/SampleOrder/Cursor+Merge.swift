extension Cursor {
  /// Makes one cursor of those that the nodes of a job each saved.
  ///
  /// Of each rank the latest commit counts, or, where none was made, all that was consumed.
  ///
  /// - Parameter cursors: At least one.
  /// - Returns: The cursor; and by split the ranks of which nothing is consumed anywhere.
  /// - Throws: `CursorError.notOfOneRun`.
  package static func merge(
    _ cursors: [Cursor]
  ) throws(CursorError) -> (cursor: Cursor, idleRanks: [String: [Int]]) {
    guard var merged = cursors.first else { preconditionFailure("no cursor to merge") }
    for other in cursors.dropFirst() {
      try merged.checkRun(other)
      for (name, split) in other.splits {
        guard let own = merged.splits[name] else { continue }
        if split.counts.shardCount > own.counts.shardCount {
          merged.splits[name]?.counts = split.counts
        }
        for (rank, progress) in split.present.ranks.enumerated() {
          let known = own.present.ranks[rank]
          merged.splits[name]?.present.ranks[rank] = known.merged(with: progress)
        }
      }
      merged.sequence = max(merged.sequence, other.sequence)
      if let held = merged.ranks, let others = other.ranks {
        merged.ranks = Set(held).union(others).sorted()
      } else {
        merged.ranks = nil
      }
    }
    if let held = merged.ranks, held.count == merged.worldSize { merged.ranks = nil }
    let idle = merged.splits.mapValues { split in
      split.present.ranks.indices.filter { rank in
        let progress = split.present.ranks[rank]
        return progress.epoch == split.oldestEpoch && progress.consumed.isEmpty
      }
    }
    return (merged, idle)
  }

  /// Refuses a cursor of another order, another dataset or other earlier legs.
  ///
  /// What passes holds progress in the same positions: it can be merged, or a live mount moved to it.
  ///
  /// - Throws: `CursorError.notOfOneRun`.
  package func checkRun(_ other: Cursor) throws(CursorError) {
    try Self.check("seed", seed, other.seed)
    try Self.check("shuffle", shuffle.rawValue, other.shuffle.rawValue)
    try Self.check("shuffle window", shuffleWindow, other.shuffleWindow)
    let unset = "not set"
    try Self.check(
      "equalize",
      equalize?.rawValue ?? unset,
      other.equalize?.rawValue ?? unset
    )
    try Self.check(
      "number of lanes",
      lanesAsked.map { String($0) } ?? unset,
      other.lanesAsked.map { String($0) } ?? unset
    )
    try Self.check("list of splits", splits.keys.sorted(), other.splits.keys.sorted())
    for (name, split) in splits.sorted(by: { $0.key < $1.key }) {
      guard let others = other.splits[name] else { continue }
      try Self.check("fingerprint of \(name)", split.fingerprint, others.fingerprint)
      try Self.check(
        "partition of \(name)",
        split.partition.rawValue,
        others.partition.rawValue
      )
      try Self.check(
        "list of shards left out of \(name)",
        split.skippedShards,
        others.skippedShards
      )
      try Self.check("world size", split.present.worldSize, others.present.worldSize)
      try Self.check("number of lanes of \(name)", split.present.lanes, others.present.lanes)
      guard split.earlier == others.earlier else {
        throw .notOfOneRun(
          what: "what went before in \(name)",
          first: "\(split.earlier.count) legs",
          other: "\(others.earlier.count) legs of other progress"
        )
      }
    }
  }

  private static func check<Value: Equatable>(
    _ what: String,
    _ first: Value,
    _ other: Value
  ) throws(CursorError) {
    guard first != other else { return }
    throw .notOfOneRun(what: what, first: "\(first)", other: "\(other)")
  }
}

extension Progress {
  /// The later of two commits, a commit before reads, or what either has consumed.
  func merged(with other: Progress) -> Progress {
    switch (committedAt, other.committedAt) {
    case (let own?, let others?):
      return (own, epoch, consumed.next) < (others, other.epoch, other.consumed.next) ? other : self
    case (_?, nil):
      return self
    case (nil, _?):
      return other
    case (nil, nil):
      guard epoch == other.epoch else { return epoch < other.epoch ? other : self }
      var both = self
      both.consumed.formUnion(other.consumed)
      both.length = length ?? other.length
      return both
    }
  }
}
