import SampleOrder

/// Counts what ledgers say: whether each sample of an epoch was served once.
package struct Verification: Sendable {
  /// A split's epoch over all its ranks and restarts.
  package struct Epoch: Hashable, Sendable {
    /// Samples that were served.
    package var servedCount = 0

    /// How often a sample was served that had been served before.
    package var repeatedCount = 0

    /// Samples that could not be read, and never were.
    package var errorCount = 0

    /// Served again to bring ranks to one length.
    package var filledCount = 0

    /// How many samples the epoch has; nil where nobody says.
    package var expectedCount: Int?

    /// Samples that are missing among the known ones: a later one of the same shard was served.
    package var gapCount = 0

    /// The first sample that was served twice.
    package var firstRepeated: Sample?

    /// The first sample that is missing among the known ones.
    package var firstMissing: Sample?

    /// Served or failed, out of those expected; nil where that number is not known.
    package var missingCount: Int? {
      guard let expectedCount else { return gapCount > 0 ? gapCount : nil }
      return max(0, expectedCount - servedCount - errorCount)
    }

    /// Samples beyond those that there should be: these are not of this epoch.
    package var surplusCount: Int {
      expectedCount.map { max(0, servedCount + errorCount - $0) } ?? 0
    }

    /// Whether nothing speaks against each sample having been served once.
    package var isEachOnce: Bool {
      (missingCount ?? 0) == 0 && repeatedCount == 0 && errorCount == 0 && surplusCount == 0
    }
  }

  package struct Sample: Hashable, Sendable {
    package let shard: [UInt8]
    package let number: Int
    package let key: [UInt8]
  }

  package struct Name: Hashable, Comparable, Sendable {
    package let split: [UInt8]
    package let epoch: Int

    package init(split: [UInt8], epoch: Int) {
      self.split = split
      self.epoch = epoch
    }

    package static func < (left: Name, right: Name) -> Bool {
      left.split == right.split
        ? left.epoch < right.epoch : left.split.lexicographicallyPrecedes(right.split)
    }
  }

  /// Lines that are none, torn by a crash for example.
  package private(set) var badLineCount = 0

  /// Lines that a ledger says it could not keep.
  package private(set) var lostLineCount = 0

  private var epochs: [Name: Tally] = [:]

  /// What is known of an epoch while lines come in; ranges, so that a number in a line costs no more
  /// memory than the line.
  fileprivate struct Tally: Sendable {
    var counts = Epoch()
    var served: [[UInt8]: Consumed] = [:]
    var failed: [[UInt8]: Consumed] = [:]
  }

  package init() {}

  package mutating func add(_ line: LedgerLine) {
    let name = Name(split: line.split, epoch: line.epoch)
    epochs[name, default: Tally()].add(line)
  }

  package mutating func addBadLine() { badLineCount += 1 }

  package mutating func addLostLines(_ count: Int) {
    lostLineCount = lostLineCount.addingReportingOverflow(count).partialValue
  }

  /// The results by split and epoch.
  ///
  /// - Parameter expected: How many samples an epoch of a split has, where the user says so; goes
  ///   before what ledgers say.
  /// - Returns: Ascending.
  package func results(
    expected: (_ split: [UInt8]) -> Int?
  ) -> [(name: Name, epoch: Epoch)] {
    epochs.sorted { $0.key < $1.key }.map { name, tally in
      var counts = tally.result()
      counts.expectedCount = expected(name.split) ?? counts.expectedCount
      return (name, counts)
    }
  }
}

extension Verification.Tally {
  fileprivate mutating func add(_ line: LedgerLine) {
    switch line.state {
    case .total:
      // Of two that differ the larger one: with it, too little is not taken for all.
      counts.expectedCount = max(counts.expectedCount ?? 0, line.position)
    case .filled:
      counts.filledCount += 1
    case .error:
      failed[line.shard, default: .none].insert(line.number)
    case .ok:
      if served[line.shard]?.contains(line.number) == true {
        counts.repeatedCount += 1
        if counts.firstRepeated == nil {
          counts.firstRepeated = Verification.Sample(
            shard: line.shard,
            number: line.number,
            key: line.key
          )
        }
      } else {
        counts.servedCount += 1
        served[line.shard, default: .none].insert(line.number)
      }
    }
  }

  fileprivate func result() -> Verification.Epoch {
    var counts = counts
    let shards = Set(served.keys).union(failed.keys)
    for shard in shards.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      var all = served[shard] ?? .none
      let servedCount = all.count
      if let failed = failed[shard] { all.formUnion(failed) }
      let known = all.count
      counts.errorCount += known - servedCount
      let end = all.allRanges.last?.upperBound ?? 0
      guard end > known else { continue }
      counts.gapCount += end - known
      if counts.firstMissing == nil {
        counts.firstMissing = Verification.Sample(shard: shard, number: all.next, key: [])
      }
    }
    return counts
  }
}
