import FoundationEssentials
import Glibc
import Remote
import SampleOrder
import SampleTree
import ShardCache

/// What the files in `/.wdsfs` say.
struct ControlContents: Sendable {
  let settings: MountSettings
  let remote: String
  let dataset: Dataset
  let cache: ShardReader
  let run: TrainingRun
  let metrics: MountMetrics
  let events: EventLog

  init(
    settings: MountSettings,
    remote: String,
    dataset: Dataset,
    cache: ShardReader,
    run: TrainingRun,
    metrics: MountMetrics,
    events: EventLog
  ) {
    self.settings = settings
    self.remote = remote
    self.dataset = dataset
    self.cache = cache
    self.run = run
    self.metrics = metrics
    self.events = events
  }

  var files: [ControlFiles.File] {
    [
      ControlFiles.File(name: "config.json") { configurationDocument },
      ControlFiles.File(name: "stats.json") { statisticsDocument },
      ControlFiles.File(name: "metrics") { metrics.text },
      ControlFiles.File(name: "log") { events.bytes },
      ControlFiles.File(name: "cursor.json", isPrivate: true, takesCursors: true) {
        run.cursor().encoded()
      },
    ]
  }

  var configurationDocument: [UInt8] { json(configuration) }
  var statisticsDocument: [UInt8] { json(MountStatistics(metrics)) }

  /// The format's version: a field that changes its meaning raises it, a new one does not.
  static let version = 1

  private struct Configuration: Encodable {
    let version: Int
    let pid: Int32
    let program: String
    let remote: String
    let mountpoint: String
    let worldSize: Int
    let rank: Int?
    let shuffle: String
    let seed: UInt64
    let names: String
    let splits: [Split]
    let cachePlace: String
    let cacheDirectory: String?
    let cacheBytes: Int64
    let maxWorkers: Int
    let strict: Bool
    let skipUnreadable: Bool

    struct Split: Encodable {
      let name: String
      let shards: Int
      let bytes: Int64
    }
  }

  private var configuration: Configuration {
    let cursor = run.cursor()
    return Configuration(
      version: Self.version,
      pid: getpid(),
      program: "wdsfs \(Version.text)",
      remote: remote,
      mountpoint: settings.mountPoint,
      worldSize: settings.worldSize.size,
      rank: settings.worldSize.onlyRank,
      shuffle: cursor.shuffle.rawValue,
      seed: cursor.seed,
      names: settings.names.rawValue,
      splits: dataset.splits.map { split in
        Configuration.Split(
          name: split.name.description,
          shards: split.shards.count,
          bytes: split.shards.reduce(0) { $0 &+ dataset.shards[$1].sizeBytes }
        )
      },
      cachePlace: cache.settings.place == .disk ? "disk" : "memory",
      cacheDirectory: cacheDirectory,
      cacheBytes: cache.settings.budgetBytes,
      maxWorkers: settings.maxWorkers,
      strict: settings.isStrict,
      skipUnreadable: settings.skipsUnreadable
    )
  }

  private var cacheDirectory: String? {
    if case .directory(let path) = settings.cachePlace { path } else { nil }
  }

  private func json(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // What is encoded is ours and of plain types, so it always can be.
    guard let data = try? encoder.encode(value) else { return Array("{}\n".utf8) }
    return Array(data) + Array("\n".utf8)
  }
}
