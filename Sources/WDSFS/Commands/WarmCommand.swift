import ArgumentParser
import Remote
import SampleOrder
import SampleTree
import ShardCache

/// `wdsfs warm`: fill the cache before a job.
struct WarmCommand: MountLikeCommand {
  static let configuration = CommandConfiguration(
    commandName: "warm",
    abstract: "Fill the cache before a job.",
    usage: "wdsfs warm <remote> [options of mount]",
    discussion: """
      With the options of the mount that will follow: the same cache gets what is
      wanted first.
        wdsfs warm s3://bucket/imagenet --cache-dir /scratch/wds --cache-size 200GB
      The validation split alone:
        wdsfs warm s3://bucket/imagenet --split val
      What one node of eight will read:
        wdsfs warm s3://bucket/imagenet --shuffle full --seed 7 \\
          --world-size 8 --rank 3

      It stops when the cache is full. Stopped before, it goes on where it was: run
      the same line again. A mount may use the cache meanwhile.
      """
  )

  @Argument(help: "s3://bucket/prefix, http(s)://host/name-{000..146}.tar, or a directory.")
  var remote: String?

  @Flag(help: "As JSON.")
  var json = false

  @OptionGroup(title: "Where the shards are")
  var remoteOptions: RemoteOptions

  @OptionGroup(title: "How it is reached")
  var connectionOptions: ConnectionOptions

  @OptionGroup(title: "The tree")
  var treeOptions: TreeOptions

  @OptionGroup(title: "The order")
  var orderOptions: OrderOptionsGroup

  @OptionGroup(title: "The cache")
  var cacheOptions: CacheOptions

  @OptionGroup(title: "Damaged shards")
  var damageOptions: DamageOptions

  @OptionGroup(title: "The process")
  var processOptions: ProcessOptions

  var groups: [any OptionsGroup] {
    [remoteOptions, connectionOptions, treeOptions, orderOptions, cacheOptions, damageOptions]
  }

  private struct Report: Encodable {
    let version = 1
    let shards: Int
    let bytes: Int64
    let requests: Int
    let bytesReceived: Int64
    let leftOutShards: Int
    let failedShards: Int
  }

  func run(in program: Program) throws(Failure) -> ExitCode {
    let settings = try settings(in: program)
    guard settings.order.maxRankSamples == nil else {
      throw Failure(.usage, "--limit has no meaning here: whole shards are fetched; leave it out")
    }
    guard case .directory(let path) = settings.cachePlace else {
      throw Failure(.usage, "--cache-dir memory ends with this command; name a directory")
    }
    let listed = try ListedRemote.list(settings)
    defer { listed.store.shutDown() }
    if case .directory = listed.address, !settings.isCachePlaceChosen {
      throw Failure(
        .usage,
        "a folder's shards are read where they lie; name a --cache-dir to have them copied there"
      )
    }
    let cache = try CacheWiring.cache(
      over: listed.store,
      listed.dataset,
      listed.stated.published,
      at: listed.address,
      settings,
      listed.log
    )
    // Late answers still look for it.
    _ = Unmanaged.passRetained(cache)
    defer { cache.shutDown() }
    let wanted = try wantedShards(settings, listed, cache)
    let fitting = Self.fitting(wanted, in: cache)
    let run = WarmRun(cache, shards: fitting)
    let bytes = Self.bytes(of: fitting, in: cache)
    let line = WarmProgress(run, shardCount: fitting.count, totalBytes: bytes).line
    line.start()
    run.run(workerCount: settings.maxWorkers)
    line.finish()
    let standing = run.standing
    let received = listed.store.statistics
    let report = Report(
      shards: standing.doneShards - standing.failedShards,
      bytes: bytes,
      requests: received.requests,
      bytesReceived: received.bytesReceived,
      leftOutShards: wanted.count - fitting.count,
      failedShards: standing.failedShards
    )
    if json {
      try CommandOutput.write(json: report)
    } else {
      try CommandOutput.write(Self.text(report, path, program.outputTerminal))
    }
    guard let failure = standing.firstFailure else { return .success }
    let words = "\(NumberText.counted(report.failedShards, "shard")) could not be read"
    if case .fetch(_, _, let error) = failure {
      let reason = Failure(error, remote: listed.address.displayName)
      throw Failure(reason.code, "\(words), the first: \(reason.sentence)")
    }
    throw Failure(.badShards, "\(words), the first: \(failure)")
  }

  /// The shards of all splits, those that are read first in front.
  private func wantedShards(
    _ settings: MountSettings,
    _ listed: ListedRemote,
    _ cache: ShardReader
  ) throws(Failure) -> [Int] {
    let run = try RunWiring.run(
      settings,
      nil,
      listed.dataset,
      listed.stated.counts,
      cache,
      listed.log
    )
    let size = settings.worldSize.size
    let ranks = settings.worldSize.onlyRank.map { $0..<$0 + 1 } ?? 0..<size
    var wanted: [Int] = []
    var seen: Set<Int> = []
    for (number, split) in listed.dataset.splits.enumerated() {
      let order: EpochOrder
      do throws(OrderError) {
        order = try run.order(split: number, epoch: settings.order.firstEpoch ?? 0)
      } catch {
        throw Failure(.usage, "\(error); see wdsfs warm --help")
      }
      let needed = WarmRun.shards(neededBy: ranks.map { order.rank($0) }, split.shards)
      wanted += needed.filter { seen.insert($0).inserted }
    }
    return wanted
  }

  /// As many as the cache holds together, from the front.
  private static func fitting(_ shards: [Int], in cache: ShardReader) -> [Int] {
    var room = cache.settings.budgetBytes
    return Array(
      shards.prefix { shard in
        room -= CacheWiring.keptBytes(ofShard: cache.shards[shard].sizeBytes)
        return room >= 0
      }
    )
  }

  private static func bytes(of shards: [Int], in cache: ShardReader) -> Int64 {
    shards.lazy.map { cache.shards[$0].sizeBytes }.sum
  }

  private static func text(_ report: Report, _ path: String, _ terminal: Terminal) -> String {
    let isAllFetched = report.bytesReceived >= report.bytes
    let rest = isAllFetched ? "" : ", the rest was there"
    var text = terminal.line(
      "\(NumberText.counted(report.shards, "shard")), \(SizeText.bytes(report.bytes)), in "
        + "\(PrintableText.oneLine(path)) (\(SizeText.bytes(report.bytesReceived)) fetched\(rest))"
    )
    if report.leftOutShards > 0 {
      let left = NumberText.counted(report.leftOutShards, "shard")
      text += terminal.line("\(left) more do not fit; see --cache-size")
    }
    return text
  }
}
