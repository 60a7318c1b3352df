/// The splits of a mount, their shards, and the ranks that share them.
package struct MountedDataset: Sendable {
  package struct Split: Sendable {
    package let name: [UInt8]

    /// The split's shards by place, as numbers of the cache's shards.
    package let shards: [Int]

    package init(name: [UInt8], shards: [Int]) {
      self.name = name
      self.shards = shards
    }
  }

  package let splits: [Split]
  package let worldSize: Int

  /// The only rank that is shown, if one was chosen.
  package let onlyRank: Int?

  package init(splits: [Split], worldSize: Int, onlyRank: Int?) {
    self.splits = splits
    self.worldSize = worldSize
    self.onlyRank = onlyRank
  }

  func shows(rank: Int) -> Bool {
    (0..<worldSize).contains(rank) && (onlyRank ?? rank) == rank
  }
}

/// How the tree shows itself.
package struct TreeSettings: Sendable {
  /// Whether listings show bare field names instead of `key.field`.
  package var listsBareNames: Bool

  /// How far ahead of each reader bytes are fetched.
  package var readAhead: ReadAheadWindow

  /// Whether a shard that cannot be read is left out instead of failing in its place.
  package var skipsUnreadable: Bool

  package init(
    listsBareNames: Bool = false,
    readAhead: ReadAheadWindow = .bytes(128 << 20),
    skipsUnreadable: Bool = false
  ) {
    self.listsBareNames = listsBareNames
    self.readAhead = readAhead
    self.skipsUnreadable = skipsUnreadable
  }
}

/// How far beyond its position a rank's data may be in flight or in the cache.
package enum ReadAheadWindow: Hashable, Sendable {
  case bytes(Int64)
  case samples(Int)
}
