package import Remote
import Synchronization

/// Keeps what a fetch delivers, and lets a test wait for its end.
package final class CollectingReceiver: RangeReceiver {
  private struct State {
    var bytes: [UInt8] = []
    var calls = 0
    var result: Result<Void, StoreError>?
    var finishes = 0
  }

  private let state = Mutex(State())
  private let signal = ReadySignal()
  private let pausesAt: Set<Int>
  private let pauseSignal = ReadySignal()

  /// Makes a receiver.
  ///
  /// - Parameter pausesAt: The calls of `receive`, from 0, that answer with a pause.
  package init(pausesAt: Set<Int> = []) {
    self.pausesAt = pausesAt
  }

  package func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    let pauses = state.withLock { state in
      defer { state.calls += 1 }
      if pausesAt.contains(state.calls) { return true }
      state.bytes.append(contentsOf: bytes)
      return false
    }
    if pauses { pauseSignal.signal() }
    return pauses ? .pause : .more
  }

  package func finish(_ result: Result<Void, StoreError>) {
    state.withLock { state in
      state.result = result
      state.finishes += 1
    }
    signal.signal()
  }

  /// Blocks until a pause was asked for.
  package func waitForPause() {
    pauseSignal.wait()
  }

  /// Blocks until the fetch has ended; once.
  package func wait() throws(StoreError) -> [UInt8] {
    signal.wait()
    let (bytes, result, finishes) = state.withLock { ($0.bytes, $0.result, $0.finishes) }
    precondition(finishes == 1, "finish was called \(finishes) times")
    try result?.get()
    return bytes
  }

  package var count: Int { state.withLock { $0.bytes.count } }
}

extension ObjectStore {
  /// Fetches a range and waits for it.
  package func bytes(
    _ range: Range<Int64>,
    of object: ObjectInfo,
    priority: FetchPriority = .reader
  ) throws(StoreError) -> [UInt8] {
    let receiver = CollectingReceiver()
    let ticket = fetch(
      RangeRequest(object: object, range: range, priority: priority),
      into: receiver
    )
    defer { ticket.cancel() }
    return try receiver.wait()
  }

  /// The whole listing.
  package func objects() throws(StoreError) -> [ObjectInfo] {
    var all: [ObjectInfo] = []
    try list { (page) throws(StoreError) in all += page }
    return all
  }
}

/// Bytes without a pattern that repeats, the same for the same seed.
package func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return UInt8(truncatingIfNeeded: state >> 24)
  }
}
