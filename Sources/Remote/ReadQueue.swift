import Glibc
import Synchronization

/// One read of a local file, from its first byte to its `finish`.
final class FileRead: FetchTicket {
  let request: RangeRequest
  private let queue: ReadQueue
  private let state: Mutex<State>

  private struct State {
    var position: Int64

    /// Let go with the answer, since whoever receives may hold this ticket.
    var receiver: (any RangeReceiver)?
    var isCancelled = false
  }

  init(request: RangeRequest, receiver: any RangeReceiver, queue: ReadQueue) {
    self.request = request
    self.queue = queue
    state = Mutex(State(position: request.range.lowerBound, receiver: receiver))
  }

  /// The next byte to hand over; written by the one thread that runs the job.
  var position: Int64 {
    get { state.withLock { $0.position } }
    set { state.withLock { $0.position = newValue } }
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    state.withLock { $0.receiver }?.receive(bytes) ?? .stop
  }

  func finish(_ result: Result<Void, StoreError>) {
    state.withLock { $0.receiver.take() }?.finish(result)
  }

  var isCancelled: Bool { state.withLock { $0.isCancelled } }

  func markCancelled() {
    state.withLock { $0.isCancelled = true }
  }

  func cancel() {
    markCancelled()
    queue.wake(self)
  }

  func resume() {
    queue.wake(self)
  }

  func raisePriority() {
    queue.raise(self)
  }
}

/// What the threads of a `DirectoryStore` have to do: readers' jobs before read-ahead, each kind in
/// the order it came.
final class ReadQueue: Sendable {
  private struct State {
    var readers: [FileRead] = []
    var readAhead: [FileRead] = []
    var paused: [ObjectIdentifier: FileRead] = [:]

    /// A `resume` that came while the job was still running: it must not be lost.
    var running: [ObjectIdentifier: (job: FileRead, wasWoken: Bool)] = [:]
    var isClosed = false
    var statistics = StoreStatistics()

    mutating func enqueue(_ job: FileRead, first: Bool = false) {
      if job.request.priority == .reader || first {
        readers.append(job)
      } else {
        readAhead.append(job)
      }
    }
  }

  private let state = Mutex(State())
  private let ready = ReadySignal()

  /// False where the store was shut down.
  func add(_ job: FileRead) -> Bool {
    let isOpen = state.withLock { state in
      guard !state.isClosed else { return false }
      state.statistics.requests += 1
      state.statistics.requestsInFlight += 1
      state.enqueue(job)
      return true
    }
    if isOpen { ready.signal() }
    return isOpen
  }

  /// Waits for a job; nil once the queue is closed.
  func next() -> FileRead? {
    while true {
      ready.wait()
      let (job, isClosed) = state.withLock { state -> (FileRead?, Bool) in
        if state.isClosed { return (nil, true) }
        let job =
          state.readers.isEmpty
          ? state.readAhead.isEmpty ? nil : state.readAhead.removeFirst()
          : state.readers.removeFirst()
        if let job { state.running[ObjectIdentifier(job)] = (job, false) }
        return (job, false)
      }
      if isClosed {
        ready.signal()
        return nil
      }
      if let job { return job }
    }
  }

  func paused(_ job: FileRead) {
    let orphan = state.withLock { state -> FileRead? in
      let wasWoken = state.running.removeValue(forKey: ObjectIdentifier(job))?.wasWoken ?? false
      if state.isClosed { return job }
      if wasWoken { state.enqueue(job) } else { state.paused[ObjectIdentifier(job)] = job }
      return nil
    }
    if let orphan { orphan.finish(.failure(.cancelled)) } else { ready.signal() }
  }

  func wake(_ job: FileRead) {
    state.withLock { state in
      if state.paused.removeValue(forKey: ObjectIdentifier(job)) != nil {
        state.enqueue(job)
      } else if state.running[ObjectIdentifier(job)] != nil {
        state.running[ObjectIdentifier(job)] = (job, true)
      }
    }
    ready.signal()
  }

  func raise(_ job: FileRead) {
    state.withLock { state in
      guard let place = state.readAhead.firstIndex(where: { $0 === job }) else { return }
      state.enqueue(state.readAhead.remove(at: place), first: true)
    }
  }

  func received(_ count: Int) {
    state.withLock { $0.statistics.bytesReceived += Int64(count) }
  }

  func finished(_ job: FileRead, _ result: Result<Void, StoreError>) {
    state.withLock { state in
      state.running[ObjectIdentifier(job)] = nil
      state.statistics.requestsInFlight -= 1
      if case .failure(let error) = result, error != .cancelled {
        state.statistics.failures += 1
      }
    }
  }

  /// Takes out every job that no thread runs; the others end at their next block.
  func close() -> [FileRead] {
    let jobs = state.withLock { state in
      for (job, _) in state.running.values { job.markCancelled() }
      defer {
        state.isClosed = true
        state.readers = []
        state.readAhead = []
        state.paused = [:]
      }
      return state.readers + state.readAhead + state.paused.values
    }
    ready.signal()
    return jobs
  }

  var statistics: StoreStatistics { state.withLock { $0.statistics } }
}
