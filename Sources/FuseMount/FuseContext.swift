import CFuse
import Glibc
import Logging
import SampleTree
import ShardCache

/// What the callbacks of one mount share.
final class FuseContext: Sendable {
  let answering: Answering
  let parked = ParkedRequests()
  let logger: Logger

  init(answering: Answering, logger: Logger) {
    self.answering = answering
    self.logger = logger
  }

  var tree: MountTree { answering.tree }

  // MARK: First try

  /// Answers what an attempt left owing: by its error, or later.
  ///
  /// - Parameters:
  ///   - request: Not answered yet.
  ///   - obstacle: Why not.
  ///   - operation: The arguments, copied, for the next attempts.
  func settle(_ request: fuse_req_t, _ obstacle: Obstacle, _ operation: Operation) {
    switch obstacle {
    case .failure(let error): fail(operation, error, Reply(request))
    case .pending(let want):
      let number = parked.newNumber()
      // Before it is in the table: an interrupt that is pending already calls back at once, and
      // libfuse does not expect an answer from within that call.
      watchForInterrupt(request, number)
      guard parked.insert(request, as: number) else { return Reply(request).error(EINTR) }
      tree.wait(
        for: want,
        ParkedRequest(context: self, number: number, operation: operation)
      )
    }
  }

  /// Asks again for a request that waited.
  func resume(
    _ operation: Operation,
    _ request: fuse_req_t,
    number: UInt,
    _ waiter: ParkedRequest
  ) {
    var reply: Reply? = Reply(request)
    do throws(Obstacle) {
      try answering.perform(operation, &reply)
    } catch {
      switch error {
      case .failure(let error):
        if let reply = reply.take() { fail(operation, error, reply) }
      case .pending(let want):
        reply.take()?.leave()
        guard parked.insert(request, as: number) else { return Reply(request).error(EINTR) }
        tree.wait(for: want, waiter)
      }
    }
  }

  // MARK: Errors

  func fail(_ operation: Operation, _ failure: CacheError, _ reply: consuming Reply) {
    let path = tree.path(of: operation.inode)
    fail(operation, TreeError.cache(path: path, failure), reply)
  }

  func fail(_ operation: Operation, _ error: TreeError, _ reply: consuming Reply) {
    let status = ErrnoTable.errno(for: error)
    if ErrnoTable.isFailure(error) {
      logger.error(
        "\(operation.name) failed: \(error) (\(String(cString: strerror(status))))",
        metadata: [
          "event": "read.failed", "path": "\(tree.path(of: operation.inode))",
          "errno": "\(status)",
        ]
      )
    }
    reply.error(status)
  }

  // MARK: Interrupts

  /// Lets the kernel's interrupt answer a parked request with `EINTR`.
  ///
  /// The number goes along in place of a pointer, so that a late interrupt finds an empty place
  /// rather than freed memory. Calls `fuse_req_interrupt_func`.
  private func watchForInterrupt(_ request: fuse_req_t, _ number: UInt) {
    fuse_req_interrupt_func(
      request,
      { request, number in
        guard let request, let context = FuseContext.of(request) else { return }
        guard let parked = context.parked.take(UInt(bitPattern: number)) else { return }
        Reply(parked).error(EINTR)
      },
      UnsafeMutableRawPointer(bitPattern: number)
    )
  }

  /// The context that a request belongs to; it outlives the session.
  static func of(_ request: fuse_req_t) -> FuseContext? {
    guard let pointer = fuse_req_userdata(request) else { return nil }
    return Unmanaged<FuseContext>.fromOpaque(pointer).takeUnretainedValue()
  }
}
