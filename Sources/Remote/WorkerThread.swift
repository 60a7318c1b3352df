import Glibc

/// A thread of our own, for work that blocks: a system call, curl, a slow disk.
///
/// Swift's task pool has as many threads as there are cores, so nothing that waits may run there.
package enum WorkerThread {
  /// Runs the body on a new detached thread.
  ///
  /// Every signal is blocked there, so that signals stay with the thread that handles them.
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
    let status = pthread_create(&thread, &attributes, runEntry, entry.toOpaque())
    precondition(status == 0, "pthread_create failed with errno \(status)")
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
