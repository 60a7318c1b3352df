import Remote
import SampleOrder
import ShardCache

extension Plan.Input {
  /// What settings and a listing say, for all ranks of this machine.
  ///
  /// - Parameters:
  ///   - settings: The order's, and how many requests are made at once.
  ///   - remote: As it is shown.
  ///   - dataset: As listed.
  ///   - counts: What the bucket states of the shards.
  ///   - totals: What the user says; nil where nobody was asked.
  init(
    _ settings: MountSettings,
    remote: String,
    _ dataset: Dataset,
    _ counts: StatedCounts,
    _ totals: SampleTotals? = nil
  ) {
    self.init()
    self.remote = remote
    let order = settings.order
    shuffle = order.options.shuffle ?? .none
    seed = order.options.seed ?? 0
    worldSize = settings.worldSize.size
    localRanks = settings.worldSize.localCount
    lanes = order.lanes
    shuffleWindow = order.options.shuffleWindow ?? 1
    partition = order.options.partition
    equalize = order.options.equalize
    epoch = order.firstEpoch ?? 0
    workers = settings.maxWorkers
    splits = dataset.splits.map { split in
      let objects = split.shards.map { dataset.shards[$0] }
      return Split(
        name: split.name.description,
        shardBytes: objects.map(\.sizeBytes),
        compressedShardCount: objects.count { !$0.key.bytes.suffix(4).elementsEqual(".tar".utf8) },
        sampleCount: totals?.count(ofSplit: split.name.description),
        statedCounts: split.shards.map { counts[$0] }
      )
    }
  }
}
