/// What the kernel keeps of the tree, and can be told to let go of.
///
/// Everything is kept without limit, so whatever changes its meaning must be named here before
/// anybody is told that it has.
package protocol KernelCache: AnyObject, Sendable {
  /// Has the kernel ask for a node's attributes again, and with them whether its listing has changed.
  ///
  /// Never blocks.
  func forgetAttributes(of inode: UInt64)

  /// Has the kernel look a name up again.
  ///
  /// Waits for whoever is at work in the parent directory, so not for a thread that answers it.
  func forgetEntry(named name: [UInt8], in parent: UInt64)
}
