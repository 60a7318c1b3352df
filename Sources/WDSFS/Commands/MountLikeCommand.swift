import ArgumentParser

/// A command that takes the options of `mount` and mounts nothing.
protocol MountLikeCommand: Subcommand {
  var remote: String? { get }
  var processOptions: ProcessOptions { get }
  var groups: [any OptionsGroup] { get }
}

extension MountLikeCommand {
  /// What a mount with these options would be told.
  func settings(in program: Program) throws(Failure) -> MountSettings {
    let options = try options(in: program)
    guard let remote = options.value(.remote)?.text else {
      let name = Self.configuration.commandName ?? ""
      throw Failure(
        .usage,
        "missing expected argument '<remote>'; see wdsfs \(name) --help"
      )
    }
    return try settings(of: remote, options, in: program)
  }

  func options(in program: Program) throws(Failure) -> GivenOptions {
    var given: [OptionName: [String]] = [.remote: remote.map { [$0] } ?? []]
    for group in groups + [processOptions] {
      given.merge(group.given) { first, _ in first }
    }
    return try GivenOptions(
      commandLine: given,
      mountOptions: processOptions.mountOptions,
      environment: program.environment
    )
  }

  func settings(
    of remote: String,
    _ options: GivenOptions,
    in program: Program
  ) throws(Failure) -> MountSettings {
    try MountSettings(
      remote: remote,
      mountPoint: options.value(.mountpoint)?.text ?? "/mnt/wds",
      options: options,
      environment: program.environment,
      user: program.user
    )
  }
}
