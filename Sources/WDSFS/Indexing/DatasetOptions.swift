import ArgumentParser

/// Options of the commands that read a dataset without mounting it.
struct DatasetOptions: OptionsGroup {
  @Option(
    help: ArgumentHelp(
      "This split only, or one made of the keys that match; may be repeated.",
      valueName: "name[=glob]"
    )
  )
  var split: [String] = []

  @Option(
    help: ArgumentHelp(
      "Where indexes are kept (default: /var/cache/wdsfs for root, else ~/.cache/wdsfs).",
      valueName: "dir|memory"
    )
  )
  var cacheDir: String?

  @Option(help: ArgumentHelp("Shards read at a time (default: 16).", valueName: "n"))
  var jobs: Int?

  @Option(
    help: ArgumentHelp(
      "The most that one compressed shard may hold (default: 64GiB).",
      valueName: "size"
    )
  )
  var maxDecompressed: String?

  @Option(
    help: ArgumentHelp("debug, info, warning or error (default: warning).", valueName: "level")
  )
  var logLevel: String?

  var given: [OptionName: [String]] {
    func one(_ text: String?) -> [String] { text.map { [$0] } ?? [] }
    return [
      .split: split,
      .cacheDirectory: one(cacheDir),
      .maxWorkers: one(jobs.map { "\($0)" }),
      .maxDecompressed: one(maxDecompressed),
      .logLevel: logLevel.map { [$0] } ?? ["warning"],
    ]
  }

  /// Checks what no other option is checked for.
  func validate() throws {
    guard let jobs, !MountSettings.maxWorkersRange.contains(jobs) else { return }
    let range = MountSettings.maxWorkersRange
    throw ValidationError(
      "--jobs \(jobs): write a number from \(range.lowerBound) to \(range.upperBound)"
    )
  }
}

extension OptionsGroup {
  /// What a command without a mount is told.
  ///
  /// - Parameters:
  ///   - remote: As the user wrote it.
  ///   - others: The command's other groups.
  ///   - program: Has environment and user.
  /// - Returns: The settings, with a mountpoint that nobody uses.
  /// - Throws: `.usage`, naming the option.
  func settings(
    remote: String,
    with others: [any OptionsGroup],
    in program: Program
  ) throws(Failure) -> MountSettings {
    var given = given
    for group in others { given.merge(group.given) { first, _ in first } }
    return try MountSettings.withoutMount(
      of: remote,
      options: GivenOptions(commandLine: given, environment: program.environment),
      environment: program.environment,
      user: program.user
    )
  }
}
