import Glibc
package import Logging
import Remote

/// Looks, before anything is fetched, whether a mount can be made at a place.
package struct MountPoint {
  private let fuseDevice: String

  package init(fuseDevice: String = "/dev/fuse") {
    self.fuseDevice = fuseDevice
  }

  /// Stale mounts may lie one over the other; more than this is no accident of ours.
  private static let maxStale = 16

  /// Makes the place ready: what a killed wdsfs left there is detached.
  ///
  /// - Parameters:
  ///   - path: Absolute, as the user wrote it.
  ///   - log: Told of a detached mount.
  /// - Returns: The path without links.
  /// - Throws: `.cannotMount`, with what to do.
  package func prepare(_ path: String, log: Logger) throws(Failure) -> String {
    let place: String
    do {
      place = try CanonicalPath.of(path)
    } catch {
      throw inaccessible(path, error.number)
    }
    try clear(place, log)
    try checkFolder(place)
    try checkDevice()
    return place
  }

  // MARK: - What is mounted there

  /// Whether a mount's process has gone.
  ///
  /// Of all questions, statfs(2) is the one that the kernel never answers from what it remembers.
  /// One that hangs is not stale: its process is there.
  package static func isStale(_ place: String) -> Bool {
    let number = BoundedCall.result(atMost: maxAsking) { () -> Int32 in
      var status = statvfs()
      return statvfs(place, &status) == 0 ? 0 : errno
    }
    return number == ENOTCONN
  }

  private static let maxAsking: Duration = .seconds(2)

  private func clear(_ place: String, _ log: Logger) throws(Failure) {
    for _ in 0..<Self.maxStale {
      guard let mount = MountTable.current().top(at: place) else { return }
      let kind = PrintableName.text(mount.fileSystem)
      let source = PrintableName.text(mount.source)
      guard mount.isWdsfs else {
        throw Failure(
          .cannotMount,
          "already a mount: \(place) (\(kind) of \(source)); unmount it, or take another folder"
        )
      }
      guard Self.isStale(place) else {
        throw Failure(
          .cannotMount,
          "already mounted: \(place) (\(source)); end it with wdsfs unmount \(place)"
        )
      }
      do {
        try Detachment(isLazy: true).detach(place)
      } catch {
        throw Failure(
          .cannotMount,
          "cannot detach the mount of a killed wdsfs: \(place): \(error.text); "
            + "try umount -l \(place) as root"
        )
      }
      log.warning(
        "detached the mount that a killed wdsfs left",
        metadata: [
          "event": "mount.stale_detached", "mountpoint": "\(place)", "source": "\(source)",
        ]
      )
    }
    throw Failure(.cannotMount, "too many stale mounts: \(place); try umount -l \(place) as root")
  }

  // MARK: - The folder and the device

  private func checkFolder(_ place: String) throws(Failure) {
    var status = stat()
    guard stat(place, &status) == 0 else { throw inaccessible(place, errno) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure(.cannotMount, "not a directory: \(place); mount on an empty directory")
    }
    // fusermount3 asks for the right to write there of who is not root.
    guard access(place, R_OK | W_OK | X_OK) == 0 else { throw inaccessible(place, errno) }
    guard let folder = opendir(place) else { throw inaccessible(place, errno) }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = DirectoryEntry.name(entry)
      guard name == "." || name == ".." else {
        throw Failure(
          .cannotMount,
          "not empty: \(place) holds \(PrintableName.text(name.utf8)); mount on an empty directory"
        )
      }
    }
  }

  /// Whether this user can make FUSE mounts at all.
  func checkDevice() throws(Failure) {
    let file = open(fuseDevice, O_RDWR | O_CLOEXEC)
    guard file < 0 else {
      close(file)
      if geteuid() != 0 && Fusermount.path == nil {
        throw Failure(.cannotMount, "no fusermount3: this machine; install the package fuse3")
      }
      return
    }
    switch errno {
    case ENOENT, ENODEV, ENXIO:
      throw Failure(
        .cannotMount,
        "no FUSE: \(fuseDevice) is missing; load it with modprobe fuse, or give the container "
          + "--device /dev/fuse --cap-add SYS_ADMIN"
      )
    case let number:
      throw Failure(
        .cannotMount,
        "no right to FUSE: \(fuseDevice): \(SystemError.text(number)); have it opened to you "
          + "(mode 0666), or give the container --device /dev/fuse --cap-add SYS_ADMIN"
      )
    }
  }

  private func inaccessible(_ place: String, _ number: Int32) -> Failure {
    switch number {
    case ENOENT:
      Failure(.cannotMount, "no such directory: \(place); make it with mkdir -p \(place)")
    case ENOTDIR:
      Failure(.cannotMount, "not a directory: \(place); mount on an empty directory")
    case ENOTCONN:
      Failure(
        .cannotMount,
        "a dead mount is in the way: \(place): \(SystemError.text(number)); unmount what lies there"
      )
    default:
      Failure(
        .cannotMount,
        "not accessible: \(place): \(SystemError.text(number)); take a directory of your own"
      )
    }
  }
}
