import CFuse
import Glibc
import Instruments
import Logging
import Remote
import SampleTree
import ShardCache
import Synchronization

/// A request of libfuse on its way between threads.
///
/// Proof of `@unchecked Sendable`: who takes it out of the table of parked ones is its only owner.
struct Request: @unchecked Sendable {
  let pointer: fuse_req_t

  /// On the account of the rank that it is about, if any.
  var wait: RankWait?

  /// The question that waits for what it is about.
  var asking: Asking?
}

/// What the callbacks of one mount share.
final class FuseContext: Sendable {
  let answering: Answering
  let logger: Logger

  /// Calls `fuse_req_interrupted`.
  let parked = ParkedRequests<Request> { fuse_req_interrupted($0.pointer) != 0 }

  private let failures = Mutex(RecentFailures())
  private let hasAnswered = Atomic(false)

  /// Told once when the kernel has taken the first answer, and when the session is over.
  let settled = ReadySignal()
  let isAnswering = Atomic(false)

  /// Why no more requests came, where that is not the mount's end: an errno, or 0.
  let readFailure = Atomic<Int32>(0)

  /// Whether nothing has been sent to the kernel yet.
  func isFirstAnswer() -> Bool {
    !hasAnswered.load(ordering: .relaxed) && !hasAnswered.exchange(true, ordering: .relaxed)
  }

  /// Notes that the kernel has taken the answer to its first request, and asks others now.
  func answersNow() {
    isAnswering.store(true, ordering: .releasing)
    settled.signal()
  }

  init(answering: Answering, logger: Logger) {
    self.answering = answering
    self.logger = logger
  }

  var tree: MountTree { answering.tree }
  private var meters: ReadMeters { answering.meters }

  /// Whoever takes a request out of the table for good says so.
  private func endWait(of request: Request) {
    meters.endWait()
    request.wait?.end()
  }

  // MARK: Waiting

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
      if isRepetition(operation) { return Reply(request).error(EIO) }
      let number = parked.newNumber()
      // Before it is in the table: an interrupt that is pending already calls back at once, and
      // libfuse does not expect an answer from within that call.
      watchForInterrupt(request, number)
      meters.beginWait()
      let asking = Asking { [tree] want, waiter in
        tree.wait(for: want, waiter)
      } leave: { [tree] want, waiter in
        tree.leave(want, waiter)
      } attempt: { [self] failure in
        attempt(operation, number, failure)
      }
      let wait = tree.beginWait(of: operation.inode)
      let waiting = Request(pointer: request, wait: wait, asking: asking)
      if let refusal = parked.insert(waiting, as: number) {
        endWait(of: waiting)
        return refuse(refusal, Reply(request))
      }
      asking.wait(for: want)
    }
  }

  /// Tries again for a request that waited.
  ///
  /// - Returns: What it waits for now; nil where it is answered, by whomever.
  private func attempt(_ operation: Operation, _ number: UInt, _ failure: CacheError?) -> Want? {
    guard let request = parked.take(number) else { return nil }
    var reply: Reply? = Reply(request.pointer)
    do throws(Obstacle) {
      if let failure {
        throw Obstacle.failure(.cache(path: path(of: operation), failure))
      }
      try answering.perform(operation, &reply)
      endWait(of: request)
    } catch {
      switch error {
      case .failure(let error):
        endWait(of: request)
        if let reply = reply.take() { fail(operation, error, reply) }
      case .pending(let want):
        reply.take()?.leave()
        // Not to be touched once it is back: whoever takes it out may answer it at once.
        guard let refusal = parked.putBack(request, as: number) else { return want }
        endWait(of: request)
        refuse(refusal, Reply(request.pointer))
      }
    }
    parked.served()
    return nil
  }

  /// Answers every request that waits, and returns once no other thread is answering one.
  ///
  /// Blocks for as long as an answer takes that another thread has at hand.
  func end() {
    let isServed = ReadySignal()
    let waiting = parked.close { isServed.signal() }
    for request in waiting {
      endWait(of: request)
      refuse(.closed, Reply(request.pointer))
    }
    isServed.wait()
  }

  // MARK: Writes

  func truncate(_ inode: UInt64, to sizeBytes: Int64, _ reply: consuming Reply) {
    do throws(TreeError) {
      let attributes = try tree.truncate(inode, to: sizeBytes)
      reply.attributes(answering.owner.status(attributes), seconds: Entry.foreverSeconds)
    } catch {
      reply.error(ErrnoTable.errno(for: error))
    }
  }

  /// Takes up a write, and answers it once the kernel has let go of what it made wrong.
  ///
  /// Not interrupted: what was taken up cannot be taken back.
  func write(_ bytes: [UInt8], at offset: Int64, to inode: UInt64, _ request: fuse_req_t) {
    let request = Request(pointer: request)
    tree.write(bytes, at: offset, to: inode) { [logger] error in
      guard let error else { return Reply(request.pointer).written(bytes.count) }
      if case .badCursor = error {
        logger.warning("\(error)", metadata: ["event": "cursor.refused"])
      }
      Reply(request.pointer).error(ErrnoTable.errno(for: error))
    }
  }

  // MARK: Errors

  private func refuse(_ refusal: ParkedRequests<Request>.Refusal, _ reply: consuming Reply) {
    switch refusal {
    case .interrupted: reply.error(EINTR)
    case .closed: reply.error(ErrnoTable.errno(for: .cache(path: "", .closed)))
    }
  }

  func fail(_ operation: Operation, _ error: TreeError, _ reply: consuming Reply) {
    let status: Int32
    if case .list = operation {
      status = ErrnoTable.errno(forListing: error)
    } else {
      status = ErrnoTable.errno(for: error)
    }
    if ErrnoTable.isFailure(error) { log(operation, error, status) }
    if case .read(let inode, let offset, let count, let start) = operation,
      ErrnoTable.isFailure(error)
    {
      meters.failed()
      tree.noteFailure(of: inode)
      if status == EIO {
        let range = offset..<offset + Int64(count)
        failures.withLock { $0.insert(range, of: inode, begunAt: start, at: .now) }
      }
    }
    reply.error(status)
  }

  /// Whether the kernel asks once more for what has just failed for good.
  private func isRepetition(_ operation: Operation) -> Bool {
    guard case .read(let inode, let offset, _, _) = operation else { return false }
    return failures.withLock { $0.take(offset, of: inode, at: .now) }
  }

  private func log(_ operation: Operation, _ error: TreeError, _ status: Int32) {
    let name = ErrnoTable.name(of: status)
    var metadata: Logger.Metadata = [
      "event": "\(operation.name).failed", "path": "\(path(of: operation))", "errno": "\(name)",
    ]
    if let shard = error.shard { metadata["shard"] = "\(shard)" }
    if let key = error.sampleKey { metadata["key"] = "\(key)" }
    logger.error("\(operation.name) failed: \(error) (\(name))", metadata: metadata)
  }

  /// The path that a request is about, for messages.
  private func path(of operation: Operation) -> String {
    let path = tree.path(of: operation.inode)
    guard case .lookUp(_, let name) = operation else { return path }
    return path == "." ? PrintableName.text(name) : "\(path)/\(PrintableName.text(name))"
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
        context.endWait(of: parked)
        Reply(parked.pointer).error(EINTR)
        context.parked.served()
        parked.asking?.leave()
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
