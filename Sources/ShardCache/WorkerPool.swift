import DequeModule
import Glibc
import Remote
import Synchronization

/// A few threads for disk reads and writes and for decompression, which may wait.
///
/// Jobs that a reader waits for go before the others.
package final class WorkerPool: Sendable {
  private struct Jobs {
    var urgent: Deque<@Sendable () -> Void> = []
    var later: Deque<@Sendable () -> Void> = []
    var isClosed = false
  }

  private let jobs = Mutex(Jobs())
  private let queued = Semaphore()
  private let ended = Semaphore()
  private let threadCount: Int

  package init(name: String, threadCount: Int) {
    self.threadCount = threadCount
    for _ in 0..<threadCount {
      WorkerThread.start(name: name) { [self] in work() }
    }
  }

  /// Queues a job; one that comes after `close` is dropped.
  package func run(isUrgent: Bool, _ job: @escaping @Sendable () -> Void) {
    jobs.withLock { jobs in
      guard !jobs.isClosed else { return }
      if isUrgent {
        jobs.urgent.append(job)
      } else {
        jobs.later.append(job)
      }
    }
    queued.post()
  }

  /// Drops the urgent jobs, whose readers are gone, and lets the threads end after the others.
  package func close() {
    jobs.withLock { jobs in
      jobs.isClosed = true
      jobs.urgent = []
    }
    for _ in 0..<threadCount { queued.post() }
  }

  /// Waits for the threads' end, but not for ever; once, after `close`.
  package func waitForEnd(maxSeconds: Int) {
    var rest = threadCount
    // In steps, since the wait with a deadline goes by a clock that may be set meanwhile.
    for _ in 0..<maxSeconds * 200 {
      while rest > 0 && ended.tryWait() { rest -= 1 }
      if rest == 0 { break }
      usleep(5_000)
    }
    jobs.withLock { $0.later = [] }
  }

  private func work() {
    while true {
      queued.wait()
      let (job, isClosed) = jobs.withLock { jobs in
        (jobs.urgent.popFirst() ?? jobs.later.popFirst(), jobs.isClosed)
      }
      job?()
      // Each job queued has a post of its own, so none is left behind but those dropped.
      if job == nil && isClosed { break }
    }
    ended.post()
  }
}

/// Counts what one thread has for another, which sleeps while there is none.
///
/// Proof of `@unchecked Sendable`: the semaphore is made once, never moved, and thread-safe.
final class Semaphore: @unchecked Sendable {
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() {
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func post() {
    sem_post(semaphore)
  }

  /// Posts unless something is there already.
  func postOnce() {
    var value: Int32 = 0
    sem_getvalue(semaphore, &value)
    if value < 1 { sem_post(semaphore) }
  }

  func wait() {
    while sem_wait(semaphore) != 0 {}
  }

  /// Takes one without waiting.
  ///
  /// - Returns: Whether there was one.
  func tryWait() -> Bool { sem_trywait(semaphore) == 0 }
}
