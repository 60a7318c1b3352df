import Glibc

/// A thread of our own, for work that blocks: a system call, curl, a slow disk.
///
/// Swift's task pool has as many threads as there are cores, so nothing that waits may run there.
package enum WorkerThread {
  /// Runs the body on a new detached thread.
  ///
  /// Every signal is blocked there, so that signals stay with the thread that handles them. Where no
  /// thread is to be had the caller waits for one; the process ends where that lasts, since nothing
  /// that a mount starts can be left out.
  ///
  /// - Parameters:
  ///   - name: Shown by `top -H`; the kernel keeps 15 bytes of it.
  ///   - body: Runs once; the thread ends with it.
  package static func start(name: String, _ body: @escaping @Sendable () -> Void) {
    let entry = Unmanaged.passRetained(Entry(name: name, body: body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    var blocked = sigset_t()
    var before = sigset_t()
    sigfillset(&blocked)
    pthread_sigmask(SIG_SETMASK, &blocked, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    for attempt in 1... {
      let status = pthread_create(&thread, &attributes, runEntry, entry.toOpaque())
      if status == 0 { return }
      // A limit on processes that others have reached, or no memory for a stack: both may pass.
      guard status == EAGAIN, attempt < maxAttempts else { endProcess(status) }
      var pause = timespec(tv_sec: 0, tv_nsec: 10_000_000)
      nanosleep(&pause, nil)
    }
  }

  /// Some nine seconds: a mount that cannot start says so within ten.
  private static let maxAttempts = 900

  private static func endProcess(_ status: Int32) -> Never {
    let sentence =
      "wdsfs: cannot start a thread: \(errorText(status)); "
      + "raise the limits on processes and memory (ulimit -u, ulimit -v, the container's)\n"
    _ = sentence.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    _exit(EXIT_FAILURE)
  }
}

private final class Entry: Sendable {
  let name: String
  let body: @Sendable () -> Void

  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }
}

private func runEntry(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  let entry = Unmanaged<Entry>.fromOpaque(context).takeRetainedValue()
  nameThread(entry.name)
  entry.body()
  return nil
}

/// Names the calling thread, through the kernel's file for it (`pthread_setname_np` is a GNU
/// extension that Swift does not see).
private func nameThread(_ name: String) {
  let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
  guard file >= 0 else { return }
  _ = name.withCString { write(file, $0, min(15, strlen($0))) }
  close(file)
}
