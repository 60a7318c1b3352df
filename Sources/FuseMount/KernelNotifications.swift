import CFuse
import Glibc
import SampleTree

extension FuseSession: KernelCache {
  /// Calls `fuse_lowlevel_notify_inval_inode` for attributes alone: it takes no lock that a reader
  /// may hold.
  package func forgetAttributes(of inode: UInt64) {
    fuse_lowlevel_notify_inval_inode(session, inode, -1, 0)
  }

  /// Calls `fuse_lowlevel_notify_inval_entry`, which takes the parent directory's lock.
  package func forgetEntry(named name: [UInt8], in parent: UInt64) {
    name.withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        guard let start = text.baseAddress else { return }
        fuse_lowlevel_notify_inval_entry(session, parent, start, text.count)
      }
    }
  }
}
