import Glibc
import Remote

/// Ends a mount: takes it off its folder, and waits until its process has ended.
///
/// The process is known by the `pid` in `/.wdsfs/config.json` of the mount itself, read before it is
/// detached; a mount that does not answer has no process to wait for.
package struct Unmount {
  private let isLazy: Bool

  /// Idle, it ends within 2 s, under load within 5.
  private static let maxWait: Duration = .seconds(10)

  package init(isLazy: Bool) {
    self.isLazy = isLazy
  }

  /// - Parameter path: Absolute, as the user wrote it.
  /// - Throws: `.cannotMount` where nothing of ours is mounted there, or it is busy;
  ///   `.internalError` where the process goes on.
  package func run(_ path: String) throws(Failure) {
    let place: String
    do {
      place = try CanonicalPath.of(path)
    } catch {
      throw Failure(.cannotMount, "cannot unmount: \(path): \(error); check the path")
    }
    guard let mount = MountTable.current().top(at: place) else {
      throw Failure(.cannotMount, "not mounted: \(place); see /proc/self/mountinfo")
    }
    guard mount.isWdsfs else {
      throw Failure(
        .cannotMount,
        "not a mount of wdsfs: \(place) is \(PrintableName.text(mount.fileSystem)) of "
          + "\(PrintableName.text(mount.source)); use umount"
      )
    }
    let server = ServingProcess.of(place)
    do {
      try Detachment(isLazy: isLazy).detach(place)
    } catch {
      throw refused(place, error)
    }
    // A lazy one goes on until the last open file is closed.
    guard !isLazy, let server else { return }
    guard server.waitForEnd(atMost: Self.maxWait) else {
      throw Failure(.internalError, goesOn(place, server.processID, mount.device))
    }
  }

  /// Why a process goes on without its mount here, as far as can be seen.
  ///
  /// Namespaces of mounts that were made while it was mounted, for example those of containers, have
  /// copies of it, which it has to serve.
  private func goesOn(_ place: String, _ processID: Int32, _ device: String) -> String {
    let holders = Holders.described(ofDevice: device, except: processID)
    let known = "unmounted, but its process goes on: \(place), pid \(processID)"
    guard !holders.isEmpty else { return known + "; see its log" }
    return known + ": it is mounted still where \(holders) sees it; unmount it there, or end the "
      + "process: kill \(processID)"
  }

  private func refused(_ place: String, _ refusal: Detachment.Refusal) -> Failure {
    guard refusal.isBusy else {
      return Failure(
        .cannotMount,
        "cannot unmount: \(place): \(refusal.text); whoever mounted it, or root, can"
      )
    }
    let holders = Holders.described(of: place)
    let who = holders.isEmpty ? "see fuser -vm \(place)" : "held by \(holders)"
    return Failure(
      .cannotMount,
      "busy: \(place): \(who); end these, or detach now with wdsfs unmount --lazy \(place)"
    )
  }
}
