import Synchronization

/// A place where one thread waits for what another one finds out.
package final class Answer<Value: Sendable>: Sendable {
  private let result = Mutex<Result<Value, StoreError>?>(nil)
  private let signal = ReadySignal()

  package init() {}

  package func give(_ result: Result<Value, StoreError>) {
    self.result.withLock { $0 = result }
    signal.signal()
  }

  /// Blocks until the answer is there; once.
  package func wait() throws(StoreError) -> Value {
    signal.wait()
    guard let result = result.withLock({ $0 }) else { throw .cancelled }
    return try result.get()
  }
}
