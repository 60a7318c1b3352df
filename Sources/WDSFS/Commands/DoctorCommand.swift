import ArgumentParser

/// `wdsfs doctor`: what is missing here, and what to type to mend it.
struct DoctorCommand: MountLikeCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what is missing on this machine, and what to type.",
    usage: "wdsfs doctor [<remote>] [options of mount]",
    discussion: """
      This machine alone:
        wdsfs doctor
      A remote as well: credentials, endpoint, clock, listing, a first read
        wdsfs doctor s3://bucket/imagenet
        wdsfs doctor s3://bucket/set --endpoint-url http://minio:9000 --profile lab

      A dash is worth knowing, a cross keeps a mount from working; the exit code is
      then what the mount's would be.
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

  @OptionGroup(title: "The cache")
  var cacheOptions: CacheOptions

  @OptionGroup(title: "The process")
  var processOptions: ProcessOptions

  var groups: [any OptionsGroup] { [remoteOptions, connectionOptions, treeOptions, cacheOptions] }

  private struct Report: Encodable {
    let version = 1
    let findings: [Finding]
  }

  func run(in program: Program) throws(Failure) -> ExitCode {
    let options = try options(in: program)
    let named = options.value(.remote)?.text
    let settings = try settings(of: named ?? "s3://doctor", options, in: program)
    var findings = MachineChecks(user: program.user, settings: settings).findings
    if named == nil {
      findings.append(RemoteChecks.credentials(settings))
    } else {
      findings += RemoteChecks(settings: settings).findings()
    }
    if json {
      try CommandOutput.write(json: Report(findings: findings))
    } else {
      let terminal = program.outputTerminal
      try CommandOutput.write(findings.map { $0.lines(terminal) }.joined())
    }
    let worst = findings.first { $0.state == .bad }
    return worst.flatMap { ExitCode(rawValue: $0.exitCode) } ?? .success
  }
}
