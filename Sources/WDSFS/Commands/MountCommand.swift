import ArgumentParser

/// `wdsfs mount`: from the command line to a mount that answers.
struct MountCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "mount",
    abstract: "Show a bucket of WebDataset shards as a folder.",
    usage: "wdsfs mount <remote> <mountpoint> [options]",
    discussion: """
      A bucket, read by one process:
        wdsfs mount s3://bucket/imagenet /mnt/wds
        ls /mnt/wds/train/0

      Eight ranks, 200 GB of cache on the local disk:
        wdsfs mount s3://bucket/imagenet /mnt/wds --world-size 8 \\
          --cache-dir /scratch/wds --cache-size 200GB

      Shuffled, and resumed where it stopped: run the same line again
        wdsfs mount s3://bucket/imagenet /mnt/wds --shuffle full --seed 7 \\
          --world-size 8 --cursor run7.cursor
      or, on other machines, only what changes:
        wdsfs mount s3://bucket/imagenet /mnt/wds --world-size 6 --cursor run7.cursor

      A store of your own, a web server, a directory:
        wdsfs mount s3://bucket/set /mnt/wds --endpoint-url http://minio:9000
        wdsfs mount 'https://host/set-{000000..000146}.tar' /mnt/wds
        wdsfs mount /data/set /mnt/wds

      Images as arrays, decoded once and natively, for np.load:
        wdsfs mount s3://bucket/imagenet /mnt/wds --schema jpg=npy:224x224 \\
          --schema cls=npy

      Watched, until Ctrl-C:
        wdsfs mount s3://bucket/set /mnt/wds -f --log-level debug

      It goes to the background once the mount answers, and ends with wdsfs unmount.
      Each option can also stand in a variable (WDSFS_CACHE_SIZE=200GB) or in a
      file, the command line first; what counts, and who said so:
        wdsfs mount --config imagenet.toml --print-config
      """
  )

  @Argument(help: "s3://bucket/prefix, http(s)://host/name-{000..146}.tar, or a directory.")
  var remote: String?

  @Argument(help: "An empty directory.", completion: .directory)
  var mountpoint: String?

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

  @Flag(help: "Mount nothing: print all options, and where each was said.")
  var printConfig = false

  func run(in program: Program) throws(Failure) -> ExitCode {
    if printConfig { return try printConfiguration(program) }
    let settings = try settings(environment: program.environment, user: program.user)
    let isDaemon = program.status != nil
    guard settings.staysInForeground || isDaemon else {
      for warning in settings.warnings {
        StandardError.print("wdsfs: warning: \(warning.text)")
      }
      return try Daemon(arguments: program.arguments).start()
    }
    let process = try MountProcess.prepare(settings: settings, status: program.status)
    let path = try MountPoint().prepare(settings.mountPoint, log: process.log)
    do throws(Failure) {
      return try program.serve(settings.mounted(at: path), process)
    } catch {
      process.note(error)
      throw error
    }
  }

  func settings(
    environment: [String: String],
    user: MountingUser
  ) throws(Failure) -> MountSettings {
    try .mount(options(environment), environment: environment, user: user)
  }

  private func options(_ environment: [String: String]) throws(Failure) -> GivenOptions {
    var given: [OptionName: [String]] = [
      .remote: remote.map { [$0] } ?? [], .mountpoint: mountpoint.map { [$0] } ?? [],
    ]
    let groups: [any OptionsGroup] = [
      remoteOptions, connectionOptions, treeOptions, orderOptions, cacheOptions, damageOptions,
      processOptions,
    ]
    for group in groups {
      given.merge(group.given) { first, _ in first }
    }
    return try GivenOptions(
      commandLine: given,
      mountOptions: processOptions.mountOptions,
      environment: environment
    )
  }

  private func printConfiguration(_ program: Program) throws(Failure) -> ExitCode {
    let options = try options(program.environment)
    // Neither is needed to say what the others are.
    let settings = try MountSettings(
      remote: options.value(.remote)?.text ?? "s3://bucket/prefix",
      mountPoint: options.value(.mountpoint)?.text ?? "/mnt/wds",
      options: options,
      environment: program.environment,
      user: program.user
    )
    for warning in settings.warnings {
      StandardError.print("wdsfs: warning: \(warning.text)")
    }
    let printed = PrintedSettings(options: options, settings: settings)
    try CommandOutput.write(printed.text(room: program.outputTerminal.room))
    return .success
  }
}
