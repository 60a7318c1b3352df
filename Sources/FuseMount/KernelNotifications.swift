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
    fuse_lowlevel_notify_inval_entry(session, parent, Self.terminated(name), name.count)
  }

  /// A name as libfuse wants it: it sends the NUL behind the name too, which the length does not count.
  package static func terminated(_ name: [UInt8]) -> [CChar] {
    name.map { CChar(bitPattern: $0) } + [0]
  }
}
