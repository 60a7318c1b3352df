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
  /// The directory; nil where there is none yet, and none is made.
  func directory(
    _ settings: MountSettings
  ) throws(Failure) -> (path: String, directory: CacheDirectory?) {
    guard case .directory(let path) = settings.cachePlace else {
      throw Failure(.usage, "--cache-dir memory keeps nothing; name a directory")
    }
    guard CacheDirectory.exists(at: path) else { return (path, nil) }
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
    } else {
      try CommandOutput.write(report.text)
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
      try CommandOutput.write("nothing is kept in \(PrintableText.oneLine(path))\n")
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

// MARK: - What is shown

/// What a cache directory holds.
private struct CacheReport: Encodable {
  let version = 1
  let path: String
  let chunkBytes: Int64
  let shards: Int
  let indexBytes: Int64
  let indexes: Int
  let freeBytes: Int64?

  /// Seconds since 1970 at which the shard was used that was used longest ago; nil of none.
  let oldestUse: Int?

  /// Of each mount that uses it now.
  let mountLimits: [Int64]
  var splits: [Split]?

  struct Split: Encodable {
    let name: String
    let shards: Int
    let bytes: Int64
    let shardsThere: Int
    let bytesThere: Int64
    let indexesThere: Int
  }

  init(path: String, _ contents: CacheContents?) {
    self.path = path
    chunkBytes = contents?.chunkBytes ?? 0
    shards = contents?.entries.count ?? 0
    indexBytes = contents?.indexBytes ?? 0
    indexes = contents?.indexed.count ?? 0
    freeBytes = CacheDirectory.freeBytes(at: path)
    oldestUse = contents?.entries.values.map(\.usedSeconds).min()
    mountLimits = contents?.mountLimits ?? []
  }

  static func splits(of listed: ListedRemote, in contents: CacheContents?) -> [Split] {
    listed.dataset.splits.map { split in
      let objects = split.shards.map { listed.dataset.shards[$0] }
      let names = objects.map { CacheContents.Name(of: $0, storeIdentity: listed.store.identity) }
      let there = names.compactMap { contents?.entries[$0] }
      return Split(
        name: split.name.description,
        shards: objects.count,
        bytes: objects.lazy.map(\.sizeBytes).sum,
        shardsThere: there.count,
        bytesThere: there.map(\.bytes).sum,
        indexesThere: names.count { contents?.indexed.contains($0) == true }
      )
    }
  }

  var text: String {
    var text = PrintableText.oneLine(path) + "\n"
    text += "  \(SizeText.bytes(chunkBytes)) of \(NumberText.counted(shards, "shard"))"
    text += ", \(SizeText.bytes(indexBytes)) of \(NumberText.counted(indexes, "index", "indexes"))"
    if let freeBytes { text += ", \(SizeText.bytes(freeBytes)) free on the disk" }
    text += "\n"
    if let oldestUse {
      let age = max(0, time(nil) - oldestUse)
      text += "  the oldest was used \(SizeText.clock(seconds: Double(age))) ago\n"
    }
    for limit in mountLimits {
      let words = limit == Int64.max ? "clearing it" : "with a limit of \(SizeText.bytes(limit))"
      text += "  a mount uses it, \(words)\n"
    }
    guard let splits else { return text }
    var table = TextTable([
      ("split", .left), ("there", .left), ("", .right), ("shards", .right), ("indexes", .right),
    ])
    for split in splits {
      let scale = max(1, split.bytes >> 30)
      let there = min(split.bytesThere, split.bytes)
      table.add([
        PrintableText.oneLine(split.name),
        NumberText.bar(Int(there / scale), of: Int(split.bytes / scale), width: 20),
        "\(SizeText.bytes(there)) of \(SizeText.bytes(split.bytes))",
        "\(NumberText.grouped(split.shardsThere)) of \(NumberText.grouped(split.shards))",
        NumberText.grouped(split.indexesThere),
      ])
    }
    return text + table.text(indent: "  ")
  }
}
