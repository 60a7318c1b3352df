import Glibc

/// A POSIX semaphore, which threads of our own may wait at.
package final class ReadySignal: Sendable {
  /// Proof of safety: `sem_post` and `sem_wait` may be called from any thread at once, and the
  /// memory lives exactly as long as the object.
  private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

  package init() {
    semaphore = .allocate(capacity: 1)
    semaphore.initialize(to: sem_t())
    sem_init(semaphore, 0, 0)
  }

  package func signal() {
    sem_post(semaphore)
  }

  package func wait() {
    while sem_wait(semaphore) != 0, errno == EINTR {}
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }
}
