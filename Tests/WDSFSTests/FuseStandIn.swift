import Glibc
import Testing

/// A mount of type `fuse.wdsfs` with nobody behind it but the test, made by mount(2) itself.
///
/// It answers nothing. Once the device is closed, it is what a killed wdsfs leaves: every call on it
/// is refused with ENOTCONN.
final class FuseStandIn {
  /// Mounting needs root and the device; elsewhere these tests cannot be made.
  static let isPossible = geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0

  private let path: String
  private var device: Int32

  init(at path: String, type: String = "fuse.wdsfs") throws {
    self.path = path
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC)
    try #require(device >= 0)
    let options = "fd=\(device),rootmode=40000,user_id=0,group_id=0"
    let status = options.withCString { mount("s3://bucket/a b", path, type, 0, $0) }
    try #require(status == 0, "mount failed: \(String(cString: strerror(errno)))")
  }

  deinit {
    kill()
    while umount2(path, Int32(MNT_DETACH)) == 0 {}
  }

  /// What kill -9 does to the process behind a mount.
  func kill() {
    if device >= 0 { close(device) }
    device = -1
  }
}
