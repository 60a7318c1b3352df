import Logging
import Remote
import SampleOrder
import ShardCache

/// What the bucket itself says of its shards, in objects beside them.
struct BucketStatements: Sendable {
  /// The indexes that `wdsfs index --publish` put there; nil where there are none.
  let published: PublishedIndex?

  /// How many samples each shard holds, as far as somebody states it.
  let counts: StatedCounts

  /// Reads what of a listing states something.
  ///
  /// - Parameters:
  ///   - notes: The listed objects that are no shards.
  ///   - dataset: Of the same listing.
  ///   - store: Has them.
  ///   - address: Where the listing comes from.
  ///   - maxCountFiles: Of other tools' files that tell of one shard each; 0: nothing of other tools
  ///     is read.
  ///   - log: Hears of what cannot be used.
  /// - Returns: What is stated.
  /// - Throws: Where the store does not answer: nodes that see and nodes that do not see what is
  ///   stated would not have the same order.
  static func read(
    _ notes: [ObjectInfo],
    of dataset: Dataset,
    in store: any ObjectStore,
    at address: RemoteAddress,
    maxCountFiles: Int = 0,
    _ log: Logger
  ) throws(Failure) -> BucketStatements {
    do throws(StoreError) {
      let packs = notes.filter { PublishedIndex.isPack($0.key, below: address.keyPrefix) }
      var published: PublishedIndex?
      if !packs.isEmpty {
        published = try PublishedIndex(
          packs,
          in: store,
          shards: dataset.shards,
          below: address.keyPrefix,
          logger: log
        )
      }
      var counts = StatedCounts(shardCount: dataset.shards.count)
      for shard in dataset.shards.indices {
        guard let count = published?.sampleCount(ofShard: shard) else { continue }
        counts.state(count, ofShard: shard, source: "the published index")
      }
      if maxCountFiles > 0, !counts.states(all: dataset.shards.indices) {
        let reading = CountFileReading(dataset, in: store, log)
        try reading.read(notes, maxFiles: maxCountFiles, into: &counts)
      }
      return BucketStatements(published: published, counts: counts)
    } catch {
      throw Failure(error, remote: address.displayName)
    }
  }

  /// How many files with counts are worth reading: all where an order needs them, none where it does
  /// not, and a few where they decide which order it is.
  static func maxCountFiles(_ settings: MountSettings, _ cursor: Cursor?) -> Int {
    switch settings.order.options.partition {
    case .samples: return .max
    case .shards: return 0
    case nil:
      guard let cursor else { return CountFileReading.maxFilesUnasked }
      return cursor.splits.values.contains { $0.partition == .samples } ? .max : 0
    }
  }
}
