import CFuse
import Synchronization

/// Puts bytes of files into the kernel's cache before they are read.
///
/// The kernel waits for a page that somebody is reading just then, and that read waits for one of the
/// threads that serve the mount. So never more of them store at once than leaves two to answer
/// reads; who comes in between stores nothing.
final class KernelPages: Sendable {
  private let session = Atomic<UInt>(0)
  private let freeCount = Atomic<Int>(0)

  /// Begins to store.
  ///
  /// - Parameters:
  ///   - session: Outlives every call of `store`.
  ///   - maxStoreCount: Threads that may store at once.
  func connect(to session: OpaquePointer, maxStoreCount: Int) {
    self.session.store(UInt(bitPattern: session), ordering: .releasing)
    freeCount.store(maxStoreCount, ordering: .releasing)
  }

  /// Hands the kernel all of a file, if there is nothing to wait for.
  ///
  /// Calls `fuse_lowlevel_notify_store`. Where the kernel does not know the file any more, nothing
  /// happens.
  func store(_ inode: UInt64, _ bytes: UnsafeRawBufferPointer) {
    guard freeCount.subtract(1, ordering: .acquiring).oldValue > 0 else {
      freeCount.add(1, ordering: .releasing)
      return
    }
    defer { freeCount.add(1, ordering: .releasing) }
    let session = OpaquePointer(bitPattern: session.load(ordering: .acquiring))
    guard let session, let start = bytes.baseAddress else { return }
    wdsfs_notify_store(session, inode, start, bytes.count)
  }
}
