import Remote
import Synchronization

/// An object as pieces in order, for who reads it from front to back on a thread that may wait.
///
/// Where the store gives ranges a few pieces are fetched at once; where it gives none there is one
/// request, which is paused while the reader is behind.
final class ObjectStream: Sendable {
  /// What one request brings, and how much of it may lie unread.
  static let pieceBytes: Int64 = 4 << 20

  private let piecesAtOnce: Int
  private let store: any ObjectStore
  private let object: ObjectInfo
  private let pieces: Mutex<Pieces>
  private let arrived = Latch()

  private struct Pieces {
    var fetching: [Piece] = []

    /// Of pieces that have ended: fresh memory costs more than what is written into it.
    var spare: [[UInt8]] = []
    var nextOffset: Int64
    var isCancelled = false
  }

  /// - Parameters:
  ///   - store: Has the object.
  ///   - object: As listed.
  ///   - offset: Where to begin; 0 where the store gives no ranges.
  ///   - piecesAtOnce: How many requests are under way.
  init(store: any ObjectStore, object: ObjectInfo, from offset: Int64 = 0, piecesAtOnce: Int = 4) {
    self.store = store
    self.object = object
    self.piecesAtOnce = piecesAtOnce
    self.pieces = Mutex(Pieces(nextOffset: offset))
  }

  /// The next bytes; empty at the object's end.
  ///
  /// Blocks until there are some.
  func next() throws(StoreError) -> [UInt8] {
    var bytes: [UInt8] = []
    try next(into: &bytes)
    return bytes
  }

  /// Replaces an array's bytes with the next ones, none at the object's end, and takes its memory
  /// for those that come.
  ///
  /// Blocks until there are some.
  func next(into bytes: inout [UInt8]) throws(StoreError) {
    bytes.removeAll(keepingCapacity: true)
    while true {
      if pieces.withLock({ $0.isCancelled }) { throw .cancelled }
      startMore()
      guard let first = pieces.withLock({ $0.fetching.first }) else { return }
      switch first.take(&bytes) {
      case .bytes: return
      case .ended(let memory):
        pieces.withLock { pieces in
          pieces.fetching.removeFirst()
          pieces.spare.append(memory)
        }
      case .failed(let error): throw error
      case .nothingYet: arrived.wait()
      }
    }
  }

  /// Ends what is under way, and has `next` throw.
  func cancel() {
    let all = pieces.withLock { pieces in
      pieces.isCancelled = true
      return pieces.fetching
    }
    for piece in all { piece.cancel() }
    arrived.open()
  }

  private func startMore() {
    while true {
      let range = pieces.withLock { pieces -> Range<Int64>? in
        guard pieces.nextOffset < object.sizeBytes, pieces.fetching.count < piecesAtOnce else {
          return nil
        }
        let start = pieces.nextOffset
        let end =
          object.acceptsRanges
          ? min(object.sizeBytes, start + Self.pieceBytes) : object.sizeBytes
        pieces.nextOffset = end
        return start..<end
      }
      guard let range else { return }
      let piece = pieces.withLock { pieces in
        var memory = pieces.spare.popLast() ?? []
        // What grows by and by is copied, into fresh memory, again and again.
        memory.reserveCapacity(Int(min(Self.pieceBytes, range.upperBound - range.lowerBound)))
        let piece = Piece(in: memory, maxUnreadBytes: Int(Self.pieceBytes), arrived: arrived)
        pieces.fetching.append(piece)
        return piece
      }
      let request = RangeRequest(object: object, range: range, priority: .reader)
      piece.hold(store.fetch(request, into: piece))
    }
  }
}

/// One request's bytes on their way from the store's thread to the reader's.
private final class Piece: RangeReceiver {
  enum Taken {
    case bytes

    /// Gives back the memory that it had.
    case ended([UInt8])
    case failed(StoreError)
    case nothingYet
  }

  private struct State {
    var unread: [UInt8]
    var result: Result<Void, StoreError>?
    var isPaused = false
    var isCancelled = false

    /// Whether the reader has found nothing here, and sleeps.
    var isAwaited = false
    var ticket: (any FetchTicket)?
  }

  /// So much is worth waking the reader for: to wake one takes longer than to take in a block.
  private static let wakingBytes = 128 << 10

  private let maxUnreadBytes: Int
  private let arrived: Latch
  private let state: Mutex<State>

  init(in memory: [UInt8], maxUnreadBytes: Int, arrived: Latch) {
    self.maxUnreadBytes = maxUnreadBytes
    self.arrived = arrived
    state = Mutex(State(unread: memory))
  }

  func hold(_ ticket: any FetchTicket) {
    let isCancelled = state.withLock { state in
      state.ticket = ticket
      return state.isCancelled
    }
    if isCancelled { ticket.cancel() }
  }

  func cancel() {
    let ticket = state.withLock { state in
      state.isCancelled = true
      return state.ticket
    }
    ticket?.cancel()
  }

  /// Exchanges what has come for an empty array.
  func take(_ bytes: inout [UInt8]) -> Taken {
    let (taken, paused) = state.withLock { state -> (Taken, (any FetchTicket)?) in
      if state.unread.isEmpty {
        switch state.result {
        case nil:
          state.isAwaited = true
          return (.nothingYet, nil)
        case .success:
          defer { state.unread = [] }
          return (.ended(state.unread), nil)
        case .failure(let error): return (.failed(error), nil)
        }
      }
      swap(&bytes, &state.unread)
      defer { state.isPaused = false }
      return (.bytes, state.isPaused ? state.ticket : nil)
    }
    paused?.resume()
    return taken
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    let (verdict, isAwaited) = state.withLock { state -> (ReceiverVerdict, Bool) in
      if state.isCancelled { return (.stop, false) }
      // Without its ticket a paused fetch could not be resumed.
      if state.unread.count + bytes.count > maxUnreadBytes, !state.unread.isEmpty,
        state.ticket != nil
      {
        state.isPaused = true
        return (.pause, false)
      }
      state.unread += bytes
      guard state.isAwaited, state.unread.count >= Self.wakingBytes else { return (.more, false) }
      state.isAwaited = false
      return (.more, true)
    }
    if isAwaited { arrived.open() }
    return verdict
  }

  func finish(_ result: Result<Void, StoreError>) {
    state.withLock { state in
      state.result = result
      state.ticket = nil
    }
    arrived.open()
  }
}

/// Lets one thread sleep until another has something for it.
final class Latch: CacheWaiter {
  private let semaphore = Semaphore()

  func open() { semaphore.postOnce() }
  func wait() { semaphore.wait() }
  func cacheAnswered(_ failure: CacheError?) { open() }
}
