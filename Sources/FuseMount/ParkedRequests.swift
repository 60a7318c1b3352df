import CFuse
import Glibc
import ShardCache
import Synchronization

/// The requests that wait for bytes, so that none is lost and each is answered once.
///
/// Whoever takes a request out of the table answers it: the thread that has the bytes, an interrupt
/// from the kernel, or the end of the mount. The others find nothing.
final class ParkedRequests: Sendable {
  private struct Table {
    var requests: [UInt: Pointer] = [:]
    var nextNumber: UInt = 1
  }

  /// Proof of `@unchecked Sendable`: who takes it out of the table is its only owner.
  private struct Pointer: @unchecked Sendable {
    let request: fuse_req_t
  }

  private let table = Mutex(Table())

  var count: Int { table.withLock { $0.requests.count } }

  /// A number for a request that will be inserted.
  func newNumber() -> UInt {
    table.withLock { table in
      defer { table.nextNumber += 1 }
      return table.nextNumber
    }
  }

  /// Puts a request into the table, unless the kernel has interrupted it.
  ///
  /// Asks under the lock that the interrupt's callback needs too: libfuse marks a request before it
  /// calls back, so either the mark is seen here or the callback finds the request. Calls
  /// `fuse_req_interrupted`.
  ///
  /// - Returns: Whether it is in the table; else its answer is still owed.
  func insert(_ request: fuse_req_t, as number: UInt) -> Bool {
    let pointer = Pointer(request: request)
    return table.withLock { table in
      guard fuse_req_interrupted(pointer.request) == 0 else { return false }
      table.requests[number] = pointer
      return true
    }
  }

  /// Takes a request out; nil where somebody else has answered it.
  func take(_ number: UInt) -> fuse_req_t? {
    table.withLock { $0.requests.removeValue(forKey: number) }?.request
  }
}

/// Asks again when the cache says so.
final class ParkedRequest: CacheWaiter {
  private let context: FuseContext
  private let number: UInt
  private let operation: Operation

  init(context: FuseContext, number: UInt, operation: Operation) {
    self.context = context
    self.number = number
    self.operation = operation
  }

  func cacheAnswered(_ failure: CacheError?) {
    guard let request = context.parked.take(number) else { return }
    if let failure {
      return context.fail(operation, failure, Reply(request))
    }
    context.resume(operation, request, number: number, self)
  }
}
