import FuseMount
import Remote
import Synchronization

/// The session's loop on a thread of its own, so that others can wait for it or ask the mount.
final class ServedSession: Sendable {
  private let status = Mutex<Int32>(0)
  private let isOver = ReadySignal()

  init(_ session: FuseSession) {
    WorkerThread.start(name: "fuse") { [self] in
      let result = session.run()
      status.withLock { $0 = result }
      isOver.signal()
    }
  }

  /// Blocks until the mount is gone and no request is left.
  func wait() -> Int32 {
    isOver.wait()
    // For whoever waits next.
    isOver.signal()
    return status.withLock { $0 }
  }
}
