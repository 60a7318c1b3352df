import Glibc

/// How much the kernel reads at once of a large file: 128 KiB by default, which costs a large field
/// eight requests where one would do.
enum ReadAheadLimit {
  private static let kibibytes = 1024

  /// Raises the limit of one mount; only root can, and nothing depends on it.
  static func raise(forMountAt path: String) {
    guard let device = MountTable.current().top(at: path)?.device else { return }
    let file = open("/sys/class/bdi/\(device)/read_ahead_kb", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    let text = String(kibibytes)
    _ = text.withCString { write(file, $0, strlen($0)) }
    close(file)
  }
}
