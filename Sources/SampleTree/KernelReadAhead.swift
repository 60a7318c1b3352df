/// How far the kernel reads ahead of who reads a file from front to back.
package enum KernelReadAhead {
  /// What the mount asks of the kernel: 128 KiB, its default, cost a large field eight requests where
  /// one would do.
  package static let bytes = 1 << 20

  /// The most that is asked for beyond what a reader has seen: a window, and the next one, which is
  /// asked for at the first look into that window (Documentation/core-api/mm-api, read-ahead).
  static let maxBytesAhead = Int64(2 * bytes)
}
