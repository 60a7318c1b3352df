import Remote
import Synchronization
import TestSupport

/// A store that fails as it is told to, and remembers what it was asked for.
final class FaultyStore: ObjectStore {
  enum Fault: Sendable {
    case none

    /// Fails before the first byte.
    case fail(StoreError)

    /// Brings so many bytes and then fails.
    case cut(afterBytes: Int)

    /// Waits for `release()`.
    case stall

    /// Waits for `release()`, and fails then.
    case stallAndFail(StoreError)

    /// Brings other bytes than are asked for.
    case flip
  }

  struct Request: Equatable, Sendable {
    let key: String
    let range: Range<Int64>
    let priority: FetchPriority
  }

  private struct State {
    var requests: [Request] = []
    var stalled: [StalledFetch] = []
    var raised = 0
    var generator: SeededGenerator
  }

  private let inner: any ObjectStore
  private let fault: @Sendable (Int, RangeRequest) -> Fault
  private let maxPieceBytes: Int?
  private let state: Mutex<State>

  /// - Parameters:
  ///   - inner: Has the bytes.
  ///   - maxPieceBytes: Bytes come in pieces of 1 to so many; as the inner store has them if nil.
  ///   - seed: For the pieces' sizes.
  ///   - fault: What goes wrong with the request of that number, from 0.
  init(
    _ inner: any ObjectStore,
    maxPieceBytes: Int? = nil,
    seed: UInt64 = 1,
    fault: @escaping @Sendable (Int, RangeRequest) -> Fault = { _, _ in .none }
  ) {
    self.inner = inner
    self.fault = fault
    self.maxPieceBytes = maxPieceBytes
    self.state = Mutex(State(generator: SeededGenerator(seed: seed)))
  }

  var displayName: String { inner.displayName }
  var identity: String { inner.identity }
  var statistics: StoreStatistics { inner.statistics }

  func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    try inner.list(onPage: page)
  }

  func shutDown() { inner.shutDown() }

  var requests: [Request] { state.withLock { $0.requests } }
  var raisedCount: Int { state.withLock { $0.raised } }
  var stalledCount: Int { state.withLock { $0.stalled.count } }

  /// Bytes that were asked for.
  var requestedBytes: Int64 { requests.reduce(0) { $0 + Int64($1.range.count) } }

  /// Lets everything go on that was stalled.
  func release() {
    let stalled = state.withLock { state in
      defer { state.stalled = [] }
      return state.stalled
    }
    for fetch in stalled { fetch.start() }
  }

  func fetch(
    _ request: RangeRequest,
    into receiver: any RangeReceiver
  ) -> any FetchTicket {
    let (number, seed) = state.withLock { state in
      let key = String(decoding: request.object.key.bytes, as: UTF8.self)
      state.requests.append(
        Request(key: key, range: request.range, priority: request.priority)
      )
      return (state.requests.count - 1, state.generator.next())
    }
    let fault = fault(number, request)
    if case .fail(let error) = fault {
      receiver.finish(.failure(error))
      return DeadTicket()
    }
    let between = FaultyReceiver(receiver, fault, maxPieceBytes: maxPieceBytes, seed: seed)
    let fetch = StalledFetch(self, inner, request, between, fault)
    switch fault {
    case .stall, .stallAndFail: state.withLock { $0.stalled.append(fetch) }
    case .none, .fail, .cut, .flip: fetch.start()
    }
    return fetch
  }

  fileprivate func noteRaise() {
    state.withLock { $0.raised += 1 }
  }
}

private final class DeadTicket: FetchTicket {
  func cancel() {}
  func resume() {}
  func raisePriority() {}
}

/// A fetch that begins when it is told to.
private final class StalledFetch: FetchTicket {
  private struct State {
    var ticket: (any FetchTicket)?
    var isStarted = false
    var isCancelled = false
  }

  private let owner: FaultyStore
  private let inner: any ObjectStore
  private let request: RangeRequest
  private let receiver: FaultyReceiver
  private let fault: FaultyStore.Fault
  private let state = Mutex(State())

  init(
    _ owner: FaultyStore,
    _ inner: any ObjectStore,
    _ request: RangeRequest,
    _ receiver: FaultyReceiver,
    _ fault: FaultyStore.Fault
  ) {
    self.fault = fault
    self.owner = owner
    self.inner = inner
    self.request = request
    self.receiver = receiver
  }

  func start() {
    let isFirst = state.withLock { state in
      defer { state.isStarted = true }
      return !state.isStarted && !state.isCancelled
    }
    guard isFirst else { return }
    if case .stallAndFail(let error) = fault { return receiver.finish(.failure(error)) }
    let ticket = inner.fetch(request, into: receiver)
    state.withLock { $0.ticket = ticket }
  }

  func cancel() {
    let (ticket, wasWaiting) = state.withLock { state in
      defer { state.isCancelled = true }
      return (state.ticket, !state.isStarted && !state.isCancelled)
    }
    ticket?.cancel()
    if wasWaiting { receiver.finish(.failure(.cancelled)) }
  }

  func resume() { state.withLock { $0.ticket }?.resume() }

  func raisePriority() {
    owner.noteRaise()
    state.withLock { $0.ticket }?.raisePriority()
  }
}

/// Hands the bytes on as the fault wants it.
private final class FaultyReceiver: RangeReceiver {
  private struct State {
    var generator: SeededGenerator

    /// What of the block at hand was taken before a pause.
    var takenBytes = 0
    var deliveredBytes = 0
    var isCut = false
  }

  private let target: any RangeReceiver
  private let fault: FaultyStore.Fault
  private let maxPieceBytes: Int?
  private let state: Mutex<State>

  init(
    _ target: any RangeReceiver,
    _ fault: FaultyStore.Fault,
    maxPieceBytes: Int?,
    seed: UInt64
  ) {
    self.target = target
    self.fault = fault
    self.maxPieceBytes = maxPieceBytes
    self.state = Mutex(State(generator: SeededGenerator(seed: seed)))
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    var offset = state.withLock { $0.takenBytes }
    while offset < bytes.count {
      var count = bytes.count - offset
      if let maxPieceBytes {
        count = min(count, 1 + state.withLock { $0.generator.below(maxPieceBytes) })
      }
      if case .cut(let afterBytes) = fault {
        let rest = state.withLock { afterBytes - $0.deliveredBytes }
        guard rest > 0 else {
          state.withLock { $0.isCut = true }
          return .stop
        }
        count = min(count, rest)
      }
      switch deliver(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])) {
      case .more: break
      case .pause:
        state.withLock { $0.takenBytes = offset }
        return .pause
      case .stop: return .stop
      }
      offset += count
      state.withLock { $0.deliveredBytes += count }
    }
    state.withLock { $0.takenBytes = 0 }
    return .more
  }

  private func deliver(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    guard case .flip = fault else { return target.receive(bytes) }
    let flipped = bytes.map { $0 ^ 0x55 }
    return flipped.withUnsafeBytes { target.receive($0) }
  }

  func finish(_ result: Result<Void, StoreError>) {
    let isCut = state.withLock { $0.isCut }
    target.finish(isCut ? .failure(.badReply(what: "GET", detail: "cut")) : result)
  }
}
