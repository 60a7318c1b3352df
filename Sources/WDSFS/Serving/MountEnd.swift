import Glibc
import Logging

/// Ends the mount on request: at once where nobody is inside, else in steps.
struct MountEnd: Sendable {
  let mountPoint: String
  let log: Logger
  let notice: ServiceNotice?

  /// Called right before the process ends here.
  let saveProgress: @Sendable () -> Void

  /// How long a busy mount is asked again before it is taken off its folder, and how long open
  /// files may go on after that.
  private static let busySeconds = 3
  private static let drainSeconds = 30

  func begin(_ signal: Int32) {
    log.notice(
      "ending on \(Signals.name(signal))",
      metadata: ["event": "mount.ending", "signal": "\(signal)"]
    )
    notice?.stopping()
    if !detach() {
      log.warning(
        "the mount is busy and is detached; open files go on for up to \(Self.drainSeconds) s",
        metadata: ["event": "mount.detached"]
      )
      detachNow()
    }
    // Off its folder, it may go on for open files, and in other namespaces of mounts.
    pause(milliseconds: Self.drainSeconds * 1000)
    log.error(
      "files are still open, or it is mounted in other namespaces; giving up on them",
      metadata: ["event": "mount.forced"]
    )
    saveProgress()
    _exit(ExitCode.forced.rawValue)
  }

  /// Takes the mount off its folder once nobody is inside, if that is soon.
  private func detach() -> Bool {
    for _ in 0..<(Self.busySeconds * 10) {
      do {
        try Detachment(isLazy: false).detach(mountPoint)
        return true
      } catch {
        guard error.isBusy else { return false }
      }
      pause(milliseconds: 100)
    }
    return false
  }

  /// Takes the mount off its folder, whoever is inside.
  func detachNow() { Self.detach(mountPoint) }

  static func detach(_ mountPoint: String) {
    try? Detachment(isLazy: true).detach(mountPoint)
  }

  private func pause(milliseconds: Int) {
    // Signals are blocked on this thread, so that nothing cuts the sleep short.
    var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    nanosleep(&time, nil)
  }
}
