import Glibc

/// A lock on a whole file that one open file at a time may have: flock(2).
enum ExclusiveLock {
  /// A mount that was unmounted a moment ago is still saving what it holds.
  private static let maxWait: Duration = .seconds(2)

  /// Takes the lock, waiting a little where somebody has it.
  ///
  /// - Parameter file: An open descriptor.
  /// - Throws: `EWOULDBLOCK` where somebody keeps it.
  static func take(_ file: Int32) throws(SystemCallError) {
    let end = ContinuousClock.now + maxWait
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      let error = SystemCallError.latest
      guard error.number != EINTR else { continue }
      guard error.number == EWOULDBLOCK, ContinuousClock.now < end else { throw error }
      BoundedCall.pause()
    }
  }

  /// Lets go of the lock, also where a child that is being started holds a copy of the descriptor
  /// until its exec.
  static func release(_ file: Int32) {
    flock(file, LOCK_UN)
  }
}
