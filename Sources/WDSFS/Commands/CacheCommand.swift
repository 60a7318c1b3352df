import ArgumentParser
import Glibc
import Remote
import ShardCache

/// `wdsfs cache`: what is kept on this machine, and how to be rid of it.
struct CacheCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache",
    abstract: "Show or clear what is kept on this machine.",
    discussion: """
      wdsfs cache list
      wdsfs cache list s3://bucket/imagenet       # how much of each split is there
      wdsfs cache clear --cache-dir /scratch/wds
      """,
    subcommands: [CacheListCommand.self, CacheClearCommand.self]
  )
}

/// Finds the cache that a mount with the same options would use.
protocol CacheLookingCommand: MountLikeCommand {}

extension CacheLookingCommand {
  func nothing(in path: String) -> String {
    "nothing is kept in \(PrintableText.oneLine(path))\n"
  }

  /// The directory; nil where there is none yet, and none is made.
  func directory(
    _ settings: MountSettings
  ) throws(Failure) -> (path: String, directory: CacheDirectory?) {
    guard case .directory(let path) = settings.cachePlace else {
      throw Failure(.usage, "--cache-dir memory keeps nothing; name a directory")
    }
    guard CacheDirectory.exists(at: path) else {
      var status = stat()
      guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFDIR else {
        throw Failure(
          .cache,
          "no cache directory, but a file: \(path); name another with --cache-dir"
        )
      }
      return (path, nil)
    }
    do throws(CacheDirectoryError) {
      return (path, try CacheDirectory(path: path))
    } catch {
      throw Failure(.cache, "\(error)")
    }
  }
}

/// `wdsfs cache list`.
struct CacheListCommand: CacheLookingCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Say what the cache holds, and of a remote how much of it.",
    discussion: """
      wdsfs cache list
      wdsfs cache list s3://bucket/imagenet --cache-dir /scratch/wds
      wdsfs cache list --json

      Without a remote the shards have no names: the cache knows them by store, key
      and ETag in one number.
      """
  )

  @Argument(help: "Of this remote, how much is there.")
  var remote: String?

  @Flag(help: "As JSON.")
  var json = false

  @OptionGroup(title: "Where the shards are")
  var remoteOptions: RemoteOptions

  @OptionGroup(title: "How it is reached")
  var connectionOptions: ConnectionOptions

  @OptionGroup(title: "The tree")
  var treeOptions: TreeOptions

  @OptionGroup(title: "The cache")
  var cacheOptions: CacheOptions

  @OptionGroup(title: "The process")
  var processOptions: ProcessOptions

  var groups: [any OptionsGroup] { [remoteOptions, connectionOptions, treeOptions, cacheOptions] }

  func run(in program: Program) throws(Failure) -> ExitCode {
    let options = try options(in: program)
    let named = options.value(.remote)?.text
    let settings = try settings(of: named ?? "s3://cache", options, in: program)
    let (path, directory) = try directory(settings)
    let contents = directory?.contents()
    var report = CacheReport(path: path, contents)
    if named != nil {
      let listed = try ListedRemote.list(settings)
      defer { listed.store.shutDown() }
      report.splits = CacheReport.splits(of: listed, in: contents)
    }
    if json {
      try CommandOutput.write(json: report)
    } else if directory == nil, named == nil {
      try CommandOutput.write(nothing(in: path))
    } else {
      try CommandOutput.write(report.text(program.outputTerminal))
    }
    return .success
  }
}

/// `wdsfs cache clear`.
struct CacheClearCommand: CacheLookingCommand {
  static let configuration = CommandConfiguration(
    commandName: "clear",
    abstract: "Remove what the cache holds.",
    discussion: """
      wdsfs cache clear
      wdsfs cache clear --keep-indexes            # the bytes alone
      wdsfs cache clear s3://bucket/old           # of one remote

      A mount that uses it goes on, and fetches again what it needs.
      """
  )

  @Argument(help: "Of this remote alone.")
  var remote: String?

  @Flag(help: "Indexes stay: they are small, and take long to make.")
  var keepIndexes = false

  @OptionGroup(title: "Where the shards are")
  var remoteOptions: RemoteOptions

  @OptionGroup(title: "How it is reached")
  var connectionOptions: ConnectionOptions

  @OptionGroup(title: "The tree")
  var treeOptions: TreeOptions

  @OptionGroup(title: "The cache")
  var cacheOptions: CacheOptions

  @OptionGroup(title: "The process")
  var processOptions: ProcessOptions

  var groups: [any OptionsGroup] { [remoteOptions, connectionOptions, treeOptions, cacheOptions] }

  func run(in program: Program) throws(Failure) -> ExitCode {
    let options = try options(in: program)
    let named = options.value(.remote)?.text
    let settings = try settings(of: named ?? "s3://cache", options, in: program)
    let (path, directory) = try directory(settings)
    guard let directory else {
      try CommandOutput.write(nothing(in: path))
      return .success
    }
    var freed: Int64 = 0
    if named != nil {
      let listed = try ListedRemote.list(settings)
      defer { listed.store.shutDown() }
      let names = listed.dataset.shards.map {
        CacheContents.Name(of: $0, storeIdentity: listed.store.identity)
      }
      freed = directory.clear(Set(names), alsoIndexes: !keepIndexes)
    } else {
      freed = directory.clear(alsoIndexes: !keepIndexes)
    }
    try CommandOutput.write("\(SizeText.bytes(freed)) freed in \(PrintableText.oneLine(path))\n")
    return .success
  }
}
