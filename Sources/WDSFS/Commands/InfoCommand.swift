import ArgumentParser
import Glibc
import Remote
import ShardCache
import Synchronization

/// `wdsfs info`: what a dataset holds.
struct InfoCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Say what a dataset holds: splits, samples, fields, sizes, odd things.",
    usage: "wdsfs info <remote> [options]",
    discussion: """
        wdsfs info s3://bucket/imagenet

      As a page with plots and a few pictures, or for programs:
        wdsfs info s3://bucket/imagenet --html imagenet.html
        wdsfs info s3://bucket/imagenet --json

      Shards that no index is known of are indexed on the way, as by wdsfs index.
      """
  )

  @Argument(help: "s3://bucket/prefix, http(s)://host/name-{000..146}.tar, or a directory.")
  var remote: String

  @OptionGroup(title: "Where the shards are")
  var remoteOptions: RemoteOptions

  @OptionGroup(title: "What is read")
  var datasetOptions: DatasetOptions

  @Flag(help: "As JSON.")
  var json = false

  @Option(help: ArgumentHelp("Write a page with plots and pictures there.", valueName: "file"))
  var html: String?

  func run(in program: Program) throws(Failure) -> ExitCode {
    let settings = try datasetOptions.settings(remote: remote, with: [remoteOptions], in: program)
    let open = try OpenDataset.open(settings)
    defer { open.store.shutDown() }
    let collection = InfoCollection(open.dataset)
    let indexing = Indexing(open, settings) { collection.add($1, ofShard: $0) }
    let indexed = indexing.run(Array(open.dataset.shards.indices))
    let report = InfoReport(
      collection.surveys,
      failures: indexed.failed.map { "\($0.shard) could not be read: \($0.reason)" },
      remote: open.address.displayName
    )
    if let html {
      let pictures = Thumbnails.pictures(collection.candidates, in: open)
      let page = InfoPage(report, pictures).html
      try CommandOutput.write(page: page, to: program.user.absolute(html))
    }
    if json {
      try CommandOutput.write(json: report)
    } else if html == nil {
      try CommandOutput.write(InfoText(report: report, terminal: program.outputTerminal).text)
    }
    if let failure = indexing.failure { throw failure }
    return .success
  }
}

/// Adds up shards as their indexes come, on several threads.
private final class InfoCollection: Sendable {
  private struct State {
    var surveys: [SplitSurvey]
    var candidates: [Thumbnails.Candidate] = []
  }

  private let names: [String]

  /// The splits of each shard.
  private let splits: [[Int]]

  private let shards: [ObjectInfo]
  private let state: Mutex<State>

  init(_ dataset: Dataset) {
    names = dataset.splits.map(\.name.description)
    shards = dataset.shards
    var splits = [[Int]](repeating: [], count: dataset.shards.count)
    for (number, split) in dataset.splits.enumerated() {
      for shard in split.shards { splits[shard].append(number) }
    }
    self.splits = splits
    state = Mutex(
      State(surveys: Array(repeating: SplitSurvey(), count: dataset.splits.count))
    )
  }

  func add(_ shard: IndexedShard, ofShard number: Int) {
    let survey = SplitSurvey(shard.index, of: shards[number])
    let candidate = Thumbnails.candidate(shard, ofShard: number)
    state.withLock { state in
      for split in splits[number] { state.surveys[split].add(survey) }
      if let candidate { state.candidates.append(candidate) }
    }
  }

  var surveys: [(name: String, survey: SplitSurvey)] {
    Array(zip(names, state.withLock { $0.surveys }))
  }

  var candidates: [Thumbnails.Candidate] { state.withLock { $0.candidates } }
}
