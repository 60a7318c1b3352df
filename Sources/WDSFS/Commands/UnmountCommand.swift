import ArgumentParser

/// `wdsfs unmount`: let go of a mount, and wait until its process has ended.
struct UnmountCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "unmount",
    abstract: "End a mount, and wait for its process.",
    discussion: """
      wdsfs unmount /mnt/wds
      wdsfs unmount --lazy /mnt/wds     # while files in it are still open
      """,
    aliases: ["umount"]
  )

  @Argument(help: "Where wdsfs is mounted.", completion: .directory)
  var mountpoint: String

  @Flag(help: "Detach now; the process ends when the last open file is closed.")
  var lazy = false

  func run(in program: Program) throws(Failure) -> ExitCode {
    try Unmount(isLazy: lazy).run(program.user.absolute(mountpoint))
    return .success
  }
}
