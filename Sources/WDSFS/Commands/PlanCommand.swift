import ArgumentParser
import Remote
import SampleOrder

/// `wdsfs plan`: what a mount with these options would do, without making it.
struct PlanCommand: MountLikeCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Say what a mount would do: requests, bytes, cache, mixing.",
    usage: "wdsfs plan <remote> [options of mount]",
    discussion: """
      Before a run, with the options of its mount:
        wdsfs plan s3://bucket/imagenet --shuffle full --world-size 64
      With the number of samples, where the bucket states none:
        wdsfs plan s3://bucket/imagenet --samples train=1281167 --samples val=50000
      Eight of the ranks on each node, as a page with plots:
        wdsfs plan s3://bucket/imagenet --world-size 64 --local-ranks 8 \\
          --html plan.html

      It lists the remote, reads what the bucket states of its shards' samples (a
      published index, for example), and no shard. Warnings stand first, the one
      that matters most on top. Where nothing is stated, and nothing given with
      --samples, a sample is taken to have 110 kB, or an eighth of a shard where
      that is less.
      """
  )

  @Argument(help: "s3://bucket/prefix, http(s)://host/name-{000..146}.tar, or a directory.")
  var remote: String?

  @Option(
    help: ArgumentHelp(
      "Samples in an epoch; of one split as val=50000; may be repeated.",
      valueName: "[split=]n"
    )
  )
  var samples: [String] = []

  @Option(
    help: ArgumentHelp(
      "Ranks that one mount serves (default: LOCAL_WORLD_SIZE, SLURM_NTASKS_PER_NODE, all).",
      valueName: "n"
    )
  )
  var localRanks: Int?

  @Flag(help: "As JSON.")
  var json = false

  @Option(help: ArgumentHelp("A page with plots, which needs nothing else.", valueName: "file"))
  var html: String?

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

  func run(in program: Program) throws(Failure) -> ExitCode {
    let settings = try settings(in: program)
    let totals = try SampleTotals(samples)
    let ranks = try localRankCount(settings)
    let listed = try ListedRemote.list(settings)
    defer { listed.store.shutDown() }
    try totals.check(against: listed.dataset.splits.map(\.name.description))
    var input = Plan.Input(
      settings,
      remote: listed.address.displayName,
      listed.dataset,
      listed.stated.counts,
      totals
    )
    input.localRanks = ranks
    input.cacheBytes = try CacheWiring.plannedBytes(settings, listed.address)
    let plan: Plan
    do throws(OrderError) {
      plan = try Plan(input)
    } catch {
      throw Failure(.usage, "\(error); see wdsfs plan --help")
    }
    if let html {
      try CommandOutput.write(page: PlanPage(plan: plan).text, to: program.user.absolute(html))
    }
    if json {
      try CommandOutput.write(json: plan)
    } else if html == nil {
      try CommandOutput.write(PlanText(plan: plan, terminal: program.outputTerminal).text)
    }
    return .success
  }

  private func localRankCount(_ settings: MountSettings) throws(Failure) -> Int {
    guard let localRanks else { return settings.worldSize.localCount }
    let size = settings.worldSize.size
    guard (1...size).contains(localRanks) else {
      throw Failure(.usage, "--local-ranks \(localRanks): there are 1 to \(size) ranks")
    }
    return localRanks
  }
}
