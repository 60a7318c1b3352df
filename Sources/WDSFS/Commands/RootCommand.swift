import ArgumentParser

/// `wdsfs` itself; without a subcommand it mounts.
struct RootCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wdsfs",
    abstract: "Buckets of WebDataset shards as folders to train from.",
    discussion: """
      wdsfs mount s3://bucket/imagenet /mnt/wds
      ls /mnt/wds/train/0                  # the samples of rank 0, in training order
      cat /mnt/wds/train/0/00000042/cls
      wdsfs unmount /mnt/wds
      """,
    version: "wdsfs \(Version.text)",
    subcommands: [
      MountCommand.self, UnmountCommand.self, StatusCommand.self, PlanCommand.self,
      IndexCommand.self, InfoCommand.self, WarmCommand.self, CacheCommand.self, CursorCommand.self,
      VerifyCommand.self, DoctorCommand.self,
    ],
    defaultSubcommand: MountCommand.self
  )
}

/// A command that runs within the program: it returns its exit code and throws its one line.
protocol Subcommand: ParsableCommand {
  func run(in program: Program) throws(Failure) -> ExitCode
}

enum Version {
  static let text = "0.1.0"
}
