import DequeModule
import Glibc
import Remote
import Synchronization

/// A few threads for disk reads and writes and for decompression, which may wait.
///
/// Jobs that a reader waits for go before the others.
final class WorkerPool: Sendable {
  private struct Jobs {
    var urgent: Deque<@Sendable () -> Void> = []
    var later: Deque<@Sendable () -> Void> = []
    var isClosed = false

    mutating func next() -> (@Sendable () -> Void)? {
      urgent.popFirst() ?? later.popFirst()
    }
  }

  private let jobs = Mutex(Jobs())
  private let queued = JobCount()
  private let threadCount: Int

  init(name: String, threadCount: Int) {
    self.threadCount = threadCount
    for _ in 0..<threadCount {
      WorkerThread.start(name: name) { [self] in work() }
    }
  }

  /// Queues a job; one that comes after `close` is dropped.
  func run(isUrgent: Bool, _ job: @escaping @Sendable () -> Void) {
    jobs.withLock { jobs in
      guard !jobs.isClosed else { return }
      if isUrgent {
        jobs.urgent.append(job)
      } else {
        jobs.later.append(job)
      }
    }
    queued.add()
  }

  /// Ends the threads after the jobs that they are at; what is queued is dropped.
  func close() {
    jobs.withLock { jobs in
      jobs.isClosed = true
      jobs.urgent = []
      jobs.later = []
    }
    for _ in 0..<threadCount {
      queued.add()
    }
  }

  private func work() {
    while true {
      queued.take()
      let (job, isClosed) = jobs.withLock { ($0.next(), $0.isClosed) }
      if isClosed { return }
      job?()
    }
  }
}

/// Counts the jobs that are queued; taking one sleeps while there is none.
///
/// Proof of `@unchecked Sendable`: the semaphore is made once, never moved, and thread-safe.
private final class JobCount: @unchecked Sendable {
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() {
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func add() {
    sem_post(semaphore)
  }

  func take() {
    // Only a signal handler can interrupt, and none runs on these threads.
    while sem_wait(semaphore) != 0 {}
  }
}
