import CFuse
import Glibc

/// Lets the kernel ask for several names of one directory at once.
///
/// Otherwise a lookup that waits for the network holds up all others of its directory, and who
/// waits behind it cannot even be killed. libfuse knows the capability and did not pass it on
/// before 3.17 (libfuse pull request 861), so that its answer to the kernel's first request is
/// completed on its way out.
enum ParallelLookups {
  /// `fuse_init_out` of linux/fuse.h: major and minor version and read-ahead, four bytes each,
  /// then the flags; 64 bytes since protocol 7.23.
  private static let flagsOffset = 12
  private static let answerBytes = 64
  private static let flag = UInt32(1) << 18

  /// libfuse's number of the version that passes it on itself.
  private static let ownVersion: Int32 = 317

  /// Completes libfuse's first answer where that is needed.
  static func enable(in answer: UnsafeBufferPointer<iovec>) {
    guard fuse_version() < ownVersion, answer.count == 2, answer[1].iov_len == answerBytes,
      let bytes = answer[1].iov_base
    else { return }
    let flags = bytes.loadUnaligned(fromByteOffset: flagsOffset, as: UInt32.self)
    bytes.storeBytes(of: flags | flag, toByteOffset: flagsOffset, as: UInt32.self)
  }
}
