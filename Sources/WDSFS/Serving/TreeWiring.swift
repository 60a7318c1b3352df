import Glibc
import Logging
import Remote
import SampleOrder
import SampleTree
import ShardCache

/// From what was listed, the cache and the run to the tree that is shown.
enum TreeWiring {
  /// Makes the tree.
  ///
  /// - Parameters:
  ///   - dataset: As listed.
  ///   - address: Where.
  ///   - cache: Has the samples' bytes.
  ///   - run: Says which they are, in what order.
  ///   - controls: What lies in `/.wdsfs`.
  ///   - decoding: Makes the fields that `--schema` asks for; nil without.
  ///   - ledger: Is told of every sample that was served; nil without.
  ///   - settings: The user's.
  ///   - log: Hears of what no reader is told.
  /// - Returns: It, not yet connected to a session.
  /// - Throws: `.usage` where there are more splits than a tree can show.
  static func tree(
    of dataset: Dataset,
    at address: RemoteAddress,
    _ cache: ShardReader,
    _ run: TrainingRun,
    _ controls: ControlContents,
    _ decoding: FieldDecoding?,
    _ ledger: Ledger?,
    _ settings: MountSettings,
    _ log: Logger
  ) throws(Failure) -> MountTree {
    MountTree(
      dataset: try mounted(dataset, at: address, settings),
      cache: cache,
      settings: treeSettings(settings),
      controls: ControlFiles(files: controls.files),
      run: run,
      decoding: decoding,
      record: ledger.map { record(in: $0, dataset, cache, run, settings) },
      mountedSeconds: Int64(time(nil)),
      logger: log
    )
  }

  private static func mounted(
    _ dataset: Dataset,
    at address: RemoteAddress,
    _ settings: MountSettings
  ) throws(Failure) -> MountedDataset {
    guard dataset.splits.count <= Node.maxSplits else {
      throw Failure(
        .usage,
        "\(dataset.splits.count) splits in \(address.displayName): a mount shows at most "
          + "\(Node.maxSplits); choose some with --split"
      )
    }
    return MountedDataset(
      splits: dataset.splits.map { split in
        MountedDataset.Split(name: split.name.bytes, shards: split.shards)
      },
      worldSize: settings.worldSize.size,
      onlyRank: settings.worldSize.onlyRank
    )
  }

  private static func treeSettings(_ settings: MountSettings) -> TreeSettings {
    var tree = TreeSettings(
      listsBareNames: settings.names == .field,
      skipsUnreadable: settings.skipsUnreadable
    )
    switch settings.prefetch {
    case nil: break
    case .samples(let count): tree.readAhead = .samples(count)
    case .bytes(let bytes): tree.readAhead = .bytes(bytes)
    }
    return tree
  }

  private static func record(
    in ledger: Ledger,
    _ dataset: Dataset,
    _ cache: ShardReader,
    _ run: TrainingRun,
    _ settings: MountSettings
  ) -> @Sendable (ServedSample) -> Void {
    let names = dataset.splits.map(\.name.bytes)
    let totals = totals(dataset, cache, run, settings)
    if let totals { ledger.noteEachSecond(totals.lines) }
    return { served in
      totals?.noteServed(ofSplit: served.split, epoch: served.epoch)
      ledger.note(
        LedgerLine(
          split: names[served.split],
          rank: served.rank,
          epoch: served.epoch,
          position: served.position,
          shard: served.shard.bytes,
          number: served.number,
          key: served.key,
          state: served.isError ? .error : served.isFilledUp ? .filled : .ok
        )
      )
    }
  }

  /// How many samples epochs give; nil where they do not give all of their split.
  private static func totals(
    _ dataset: Dataset,
    _ cache: ShardReader,
    _ run: TrainingRun,
    _ settings: MountSettings
  ) -> LedgerTotals? {
    guard settings.order.maxRankSamples == nil, run.cursor().equalize != .drop else { return nil }
    return LedgerTotals(
      dataset.splits.enumerated().map { number, split in
        LedgerTotals.Split(name: split.name.bytes, shardCount: split.shards.count) { place in
          guard run.skippedShards(ofSplit: number).isEmpty else { return nil }
          return cache.settledCounts(of: [split.shards[place]])[0]
        }
      }
    )
  }
}
