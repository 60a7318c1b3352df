import CProcess
import Glibc

/// What the process says about itself to the kernel, before any thread exists.
enum ProcessSetUp {
  /// For every command.
  static func atStart() {
    // A reader of ours that went away is an error of that write, not our end.
    signal(SIGPIPE, SIG_IGN)
    // So is a file that may not grow any further (`ulimit -f`): the cache does without, the log as well.
    signal(SIGXFSZ, SIG_IGN)
    // Where 0, 1 or 2 is closed, the next file opened would take the log.
    for file in STDIN_FILENO...STDERR_FILENO where fcntl(file, F_GETFD) < 0 {
      let null = open("/dev/null", O_RDWR)
      if null >= 0 && null != file { close(null) }
    }
  }

  /// For a process that serves a mount.
  static func forServing(keepsCore: Bool) {
    Signals.block()
    // Schedulers tell all processes of a job by these that its time is nearly over (`sbatch --signal`); it
    // is the training that does something about it, and it reads on meanwhile.
    signal(SIGUSR1, SIG_IGN)
    signal(SIGUSR2, SIG_IGN)
    nameProcess()
    if !keepsCore { _ = wdsfs_set_dumpable(0) }
    raiseFileLimit()
    giveUpPrivileges()
  }

  /// For a process in the background: nothing of whoever started it is held.
  ///
  /// - Parameter kept: The one descriptor beyond standard error that stays.
  static func forBackground(keeping kept: Int32) {
    _ = chdir("/")
    for file in openFiles() where file > STDERR_FILENO && file != kept { close(file) }
  }

  /// Lets go of the terminal: standard input, output and error become /dev/null.
  static func leaveTerminal() {
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard null >= 0 else { return }
    for file in STDIN_FILENO...STDERR_FILENO { dup2(null, file) }
    close(null)
  }

  /// By this name whoever unmounts knows it again.
  static let processName = "wdsfs"

  /// Started through a link, in /proc or as `mount.wdsfs`, it would be called after that.
  private static func nameProcess() {
    let file = open("/proc/self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    FileDescriptorOutput.writeAll(Array(processName.utf8), to: file)
    close(file)
  }

  /// The hard limit is what the machine's owner allows; the soft one is only for programs that use
  /// select(2).
  private static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Of root's rights, keeps those that a mount uses to its end, and no program that it starts gets
  /// more.
  ///
  /// Who is not root has none to give up, and must keep what the setuid `fusermount3` needs.
  private static func giveUpPrivileges() {
    guard geteuid() == 0 else { return }
    // Mounting and unmounting; and the cursor, log and ledger of another user, in a folder like /tmp.
    let kept = [CAP_SYS_ADMIN, CAP_DAC_OVERRIDE, CAP_FOWNER]
    _ = wdsfs_keep_capabilities(kept.reduce(0) { $0 | 1 << UInt64($1) })
  }

  private static func openFiles() -> [Int32] {
    guard let folder = opendir("/proc/self/fd") else { return [] }
    defer { closedir(folder) }
    let own = dirfd(folder)
    var files: [Int32] = []
    while let entry = readdir(folder) {
      if let file = Int32(DirectoryEntry.name(entry)), file != own { files.append(file) }
    }
    return files
  }
}

enum DirectoryEntry {
  /// The name of an entry that readdir gave, valid or repaired UTF-8.
  static func name(_ entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafePointer(to: &entry.pointee.d_name) { name in
      name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: name.pointee)) {
        String(cString: $0)
      }
    }
  }
}
