import SampleOrder

/// What `wdsfs cursor show --json` says.
struct CursorReports: Encodable {
  let version = 1
  let files: [CursorReport]
}

/// A cursor as programs are shown it.
struct CursorReport: Encodable {
  let file: String

  /// How often it was saved.
  let sequence: Int

  let shuffle: String
  let seed: UInt64
  let shuffleWindow: Int
  let equalize: String?

  /// As `--lanes` said; nil for the default.
  let lanesAsked: Int?

  let worldSize: Int?

  /// The ranks that it holds; nil for all.
  let heldRanks: [Int]?

  let splits: [Split]

  struct Split: Encodable {
    let name: String
    let fingerprint: String
    let partition: String
    let lanes: Int
    let skippedShards: [Int]

    /// World sizes at which unfinished epochs were read before, oldest first.
    let earlierWorldSizes: [Int]

    let ranks: [Rank]
  }

  struct Rank: Encodable {
    let rank: Int
    let epoch: Int

    /// The first position that is not consumed; nil where the epoch is over.
    let next: Int?

    /// Consumed positions; nil where the epoch is over.
    let consumed: Int?

    /// How many positions the epoch has; nil where that was not known.
    let length: Int?

    /// Consumed ranges beyond `next`.
    let gaps: Int

    /// Milliseconds since 1970; nil where reads count.
    let committedAt: Int64?
  }

  init(_ cursor: Cursor, file: String) {
    self.file = file
    sequence = cursor.sequence
    shuffle = cursor.shuffle.rawValue
    seed = cursor.seed
    shuffleWindow = cursor.shuffleWindow
    equalize = cursor.equalize?.rawValue
    lanesAsked = cursor.lanesAsked
    worldSize = cursor.worldSize
    heldRanks = cursor.ranks
    splits = cursor.splits.sorted { $0.key < $1.key }.map { name, split in
      Split(
        name: name,
        fingerprint: split.fingerprint,
        partition: split.partition.rawValue,
        lanes: split.present.lanes,
        skippedShards: split.skippedShards,
        earlierWorldSizes: split.earlier.map(\.worldSize),
        ranks: split.present.ranks.enumerated().compactMap { rank, progress in
          cursor.holds(rank: rank) ? Rank(rank, progress) : nil
        }
      )
    }
  }
}

extension CursorReport.Rank {
  fileprivate init(_ rank: Int, _ progress: Progress) {
    self.rank = rank
    epoch = progress.epoch
    let isOver = progress.consumed.next == Int.max
    next = isOver ? nil : progress.consumed.next
    consumed = isOver ? nil : progress.consumed.count
    length = progress.length
    gaps = progress.consumed.gapCount
    committedAt = progress.committedAt
  }
}
