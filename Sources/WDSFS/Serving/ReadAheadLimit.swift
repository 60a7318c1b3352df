import Glibc
import SampleTree

/// How much the kernel reads at once of a large file.
enum ReadAheadLimit {
  /// Raises the limit of one mount; only root can, and nothing depends on it.
  static func raise(forMountAt path: String) {
    guard let device = MountTable.current().top(at: path)?.device else { return }
    let file = open("/sys/class/bdi/\(device)/read_ahead_kb", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    let text = String(KernelReadAhead.bytes / 1024)
    _ = text.withCString { write(file, $0, strlen($0)) }
    close(file)
  }
}
