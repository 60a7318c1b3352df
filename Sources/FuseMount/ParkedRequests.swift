import Synchronization

/// The requests that wait for bytes, so that none is lost and each is answered once.
///
/// Whoever takes a request out of the table answers it: the thread that has the bytes, an interrupt
/// from the kernel, or the end of the mount. The others find nothing.
package final class ParkedRequests<Request: Sendable>: Sendable {
  private struct Table {
    var requests: [UInt: Request] = [:]
    var nextNumber: UInt = 1

    /// Taken out, and neither answered nor put back yet.
    var servingCount = 0
    var isClosed = false
    var whenServed: [@Sendable () -> Void] = []

    mutating func insert(
      _ request: Request,
      as number: UInt,
      _ isInterrupted: (Request) -> Bool
    ) -> Refusal? {
      if isClosed { return .closed }
      if isInterrupted(request) { return .interrupted }
      requests[number] = request
      return nil
    }

    /// Those to be told that nothing is being answered any more.
    mutating func takeWaiting() -> [@Sendable () -> Void] {
      guard isClosed, servingCount == 0 else { return [] }
      defer { whenServed = [] }
      return whenServed
    }
  }

  /// Why a request was not put into the table; its answer is still owed.
  package enum Refusal: Hashable, Sendable {
    /// The kernel has interrupted it.
    case interrupted

    /// The mount is ending.
    case closed
  }

  private let table = Mutex(Table())
  private let isInterrupted: @Sendable (Request) -> Bool

  /// - Parameter isInterrupted: Whether the kernel wants an answer at once; called under the lock.
  package init(isInterrupted: @escaping @Sendable (Request) -> Bool) {
    self.isInterrupted = isInterrupted
  }

  package var count: Int { table.withLock { $0.requests.count } }

  /// A number for a request that will be inserted.
  package func newNumber() -> UInt {
    table.withLock { table in
      defer { table.nextNumber += 1 }
      return table.nextNumber
    }
  }

  /// Puts a request into the table, unless the kernel has interrupted it or the mount is ending.
  ///
  /// Asks under the lock that the interrupt's callback needs too: libfuse marks a request before it
  /// calls back, so either the mark is seen here or the callback finds the request.
  ///
  /// - Returns: nil where it is in the table; else why its answer is still owed.
  package func insert(_ request: Request, as number: UInt) -> Refusal? {
    table.withLock { $0.insert(request, as: number, isInterrupted) }
  }

  /// Takes a request out to answer it; nil where somebody else does.
  ///
  /// Who takes it out calls `served` once it is answered, or `putBack`.
  package func take(_ number: UInt) -> Request? {
    table.withLock { table in
      guard let request = table.requests.removeValue(forKey: number) else { return nil }
      table.servingCount += 1
      return request
    }
  }

  /// Puts back a request that was taken out and must go on waiting.
  ///
  /// - Returns: nil where it is in the table; else why its answer, and `served`, are still owed.
  package func putBack(_ request: Request, as number: UInt) -> Refusal? {
    table.withLock { table in
      if let refusal = table.insert(request, as: number, isInterrupted) { return refusal }
      table.servingCount -= 1
      return nil
    }
  }

  /// Says that a request that was taken out is answered.
  package func served() {
    let waiting = table.withLock { table in
      table.servingCount -= 1
      return table.takeWaiting()
    }
    for body in waiting { body() }
  }

  /// Refuses every request from now on.
  ///
  /// - Parameter whenServed: Called once no request is being answered any more.
  /// - Returns: Those that wait; the caller answers them.
  package func close(whenServed: @escaping @Sendable () -> Void) -> [Request] {
    let (requests, waiting) = table.withLock { table in
      table.isClosed = true
      table.whenServed.append(whenServed)
      defer { table.requests = [:] }
      return (Array(table.requests.values), table.takeWaiting())
    }
    for body in waiting { body() }
    return requests
  }
}
