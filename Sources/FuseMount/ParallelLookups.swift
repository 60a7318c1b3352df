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

  /// Steps in between libfuse and the kernel where that is needed.
  ///
  /// Call it once mounted, before the loop. Calls `fuse_session_custom_io`.
  static func enable(in session: OpaquePointer) {
    guard fuse_version() < ownVersion else { return }
    var functions = fuse_custom_io()
    functions.read = { file, bytes, count, _ in read(file, bytes, count) }
    functions.writev = { file, pieces, count, userData in
      guard let pieces else { return -1 }
      if let userData {
        let context = Unmanaged<FuseContext>.fromOpaque(userData)
        if context._withUnsafeGuaranteedRef({ $0.isFirstAnswer() }) {
          ParallelLookups.complete(UnsafeBufferPointer(start: pieces, count: Int(count)))
        }
      }
      return writev(file, pieces, count)
    }
    // It can fail for want of memory only, and all goes on as before then.
    _ = fuse_session_custom_io(session, &functions, fuse_session_fd(session))
  }

  private static func complete(_ pieces: UnsafeBufferPointer<iovec>) {
    guard pieces.count == 2, pieces[1].iov_len == answerBytes, let bytes = pieces[1].iov_base
    else { return }
    let flags = bytes.loadUnaligned(fromByteOffset: flagsOffset, as: UInt32.self)
    bytes.storeBytes(of: flags | flag, toByteOffset: flagsOffset, as: UInt32.self)
  }
}
