import Glibc

/// Takes a mount off its folder, by whatever right this process has.
struct Detachment {
  /// Whether open files may go on until they are closed.
  let isLazy: Bool

  /// - Throws: A sentence's part that says why not, and whether it is for being busy.
  func detach(_ path: String) throws(Refusal) {
    if geteuid() == 0 {
      // Never follow: the path was resolved, a link there now was put there since.
      let flags = Int32(isLazy ? MNT_DETACH : 0) | Self.noFollow
      guard umount2(path, flags) != 0 else { return }
      throw Refusal(isBusy: errno == EBUSY, text: SystemError.text(errno))
    }
    try runFusermount(path)
  }

  struct Refusal: Error {
    let isBusy: Bool
    let text: String
  }

  /// `UMOUNT_NOFOLLOW` of sys/mount.h.
  private static let noFollow: Int32 = 8

  private func runFusermount(_ path: String) throws(Refusal) {
    guard let program = Fusermount.path else {
      throw Refusal(isBusy: false, text: "no fusermount3 on this machine (package fuse3)")
    }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Refusal(isBusy: false, text: SystemError.text(errno)) }
    let (readEnd, writeEnd) = (ends[0], ends[1])
    _ = fcntl(readEnd, F_SETFD, FD_CLOEXEC)
    _ = fcntl(writeEnd, F_SETFD, FD_CLOEXEC)
    defer { close(readEnd) }
    var setup = ChildProcess.Setup()
    setup.standardInput = "/dev/null"
    setup.descriptors = [(ours: writeEnd, theirs: STDERR_FILENO)]
    let child: ChildProcess
    do {
      defer { close(writeEnd) }
      child = try ChildProcess(
        executable: program,
        arguments: ["fusermount3", isLazy ? "-uz" : "-u", "--", path],
        setup: setup
      )
    } catch {
      throw Refusal(isBusy: false, text: "\(program): \(error)")
    }
    let words = FileDescriptorOutput.readAll(from: readEnd, maxBytes: 2048)
    guard child.wait() != .exited(EXIT_SUCCESS) else { return }
    let text = PrintableText.oneLine(String(decoding: words, as: UTF8.self))
    throw Refusal(isBusy: text.contains("busy"), text: text)
  }
}

/// The helper that mounts and unmounts for who is not root.
enum Fusermount {
  static var path: String? {
    ["/usr/bin/fusermount3", "/bin/fusermount3", "/usr/local/bin/fusermount3"]
      .first { access($0, X_OK) == 0 }
  }
}
