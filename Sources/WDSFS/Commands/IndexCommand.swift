import ArgumentParser
import Remote
import ShardCache
import Synchronization

/// `wdsfs index`: read every shard's headers, so that mounts need none.
struct IndexCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "index",
    abstract: "Read every shard's headers, so that mounts need not.",
    usage: "wdsfs index <remote> [options]",
    discussion: """
      Into the cache directory of this machine's mounts:
        wdsfs index s3://bucket/imagenet

      Stopped by Ctrl-C or a crash, it goes on where it was: run the same line
      again. Shards of small members are read whole, of large ones (above about
      1 MB) the headers only; nothing but the index is kept.

      For every machine, in the bucket itself (below .wdsfs/index/): then mounts
      read no header, and deal ranks of equal length (--partition auto). Publish
      again after shards were added or replaced: only those are read.
        wdsfs index s3://bucket/imagenet --publish

      Over a cluster, each node its part:
        wdsfs index s3://bucket/set --publish --world-size 8 --rank $SLURM_PROCID
      """
  )

  @Argument(help: "s3://bucket/prefix, http(s)://host/name-{000..146}.tar, or a directory.")
  var remote: String

  @OptionGroup(title: "Where the shards are")
  var remoteOptions: RemoteOptions

  @OptionGroup(title: "What is read")
  var datasetOptions: DatasetOptions

  @OptionGroup(title: "A part of a cluster")
  var partOptions: PartOptions

  @Flag(help: "Put the index into the bucket, for every machine.")
  var publish = false

  @Flag(help: "As JSON.")
  var json = false

  func run(in program: Program) throws(Failure) -> ExitCode {
    let settings = try datasetOptions.settings(
      remote: remote,
      with: [remoteOptions, partOptions],
      in: program
    )
    let open = try OpenDataset.open(settings)
    defer { open.store.shutDown() }
    guard open.directory != nil else {
      throw Failure(.usage, "--cache-dir memory keeps no index; name a directory")
    }
    let publication = publish ? try Publication(open, settings) : nil
    let indexing = Indexing(open, settings)
    var report = indexing.run(partOptions.shards(of: open.dataset, settings))
    if indexing.failure == nil {
      report.published = try publication?.publish(indexing.indexRun, indexing.counts)
    }
    if json {
      try CommandOutput.write(json: report)
    } else {
      try CommandOutput.write(report.text)
    }
    if let failure = indexing.failure { throw failure }
    return .success
  }
}

/// Which part of the shards a node reads.
struct PartOptions: OptionsGroup {
  @Option(help: ArgumentHelp("Nodes that share the work.", valueName: "n"))
  var worldSize: String?

  @Option(help: ArgumentHelp("Which of them this one is, from 0.", valueName: "n"))
  var rank: String?

  var given: [OptionName: [String]] {
    [.worldSize: worldSize.map { [$0] } ?? [], .rank: rank.map { [$0] } ?? []]
  }

  /// Every n-th shard of a rank; all of them where no rank was named.
  func shards(of dataset: Dataset, _ settings: MountSettings) -> [Int] {
    let size = settings.worldSize.size
    guard let rank = settings.worldSize.onlyRank else { return Array(dataset.shards.indices) }
    return Array(stride(from: rank, to: dataset.shards.count, by: size))
  }
}
