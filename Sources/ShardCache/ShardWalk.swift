import Decompression
import Remote
import Synchronization
package import TarIndex

/// The whole index of a shard, and which bytes of the shard its offsets count in.
package struct IndexedShard: Sendable {
  package let index: ShardIndex

  /// Whether they count in what a compressed shard holds.
  package let isInflated: Bool

  package init(index: ShardIndex, isInflated: Bool) {
    self.index = index
    self.isInflated = isInflated
  }
}

/// Makes one shard's index straight from the store: of its bytes nothing is kept.
///
/// Runs to its end on a thread that may wait. A compressed shard is read whole, as is one whose
/// server gives no ranges.
final class ShardWalk: Sendable {
  private struct State {
    var scanner: TarScanner
    var steps: WalkSteps
    var receivedOffset: Int64 = 0

    /// The rest of the request under way is not wanted.
    var isBrokenOff = false
    var isCancelled = false
    var ticket: (any FetchTicket)?
    var stream: ObjectStream?
  }

  private let store: any ObjectStore
  private let object: ObjectInfo
  private let maxInflatedBytes: Int64
  private let requestsAtOnce: @Sendable () -> Int
  private let progress: @Sendable (Int64) -> Void
  private let state: Mutex<State>

  /// - Parameters:
  ///   - store: Has the shard.
  ///   - object: As listed, of a possible size.
  ///   - maxInflatedBytes: A compressed shard with more inside is refused.
  ///   - requestsAtOnce: How many a shard that is streamed may have under way just now.
  ///   - progress: Told how many more of the object's bytes have been read or jumped over.
  init(
    store: any ObjectStore,
    object: ObjectInfo,
    maxInflatedBytes: Int64,
    requestsAtOnce: @escaping @Sendable () -> Int,
    progress: @escaping @Sendable (Int64) -> Void
  ) {
    self.store = store
    self.object = object
    self.maxInflatedBytes = maxInflatedBytes
    self.requestsAtOnce = requestsAtOnce
    self.progress = progress
    state = Mutex(
      State(
        scanner: TarScanner(objectBytes: object.sizeBytes),
        steps: WalkSteps(objectBytes: object.sizeBytes)
      )
    )
  }

  /// Walks the shard; once.
  ///
  /// - Returns: Its index, which may be that of a damaged shard.
  /// - Throws: `CacheError.fetch`, `.shardChanged`, and `.closed` where it was cancelled.
  func run() throws(CacheError) -> IndexedShard {
    guard object.sizeBytes > 0 else { return walked }
    guard object.acceptsRanges else { return try readWhole() }
    let first = try head()
    switch first.withUnsafeBytes({ ShardContent.detect(firstBytes: $0) }) {
    case .compressed: return try readWhole()
    case .tar:
      feed(first, at: 0)
      try walk()
      return walked
    case let content: return rejected(content)
    }
  }

  /// Ends the walk as soon as it can.
  func cancel() {
    let (ticket, stream) = state.withLock { state in
      state.isCancelled = true
      return (state.ticket, state.stream)
    }
    ticket?.cancel()
    stream?.cancel()
  }

  private var walked: IndexedShard {
    IndexedShard(index: state.withLock { $0.scanner.snapshot() }, isInflated: false)
  }

  private func rejected(_ content: ShardContent) -> IndexedShard {
    let errorClass = content.rejection ?? .notTar
    let index = ShardIndex.rejected(errorClass, objectBytes: object.sizeBytes)
    return IndexedShard(index: index, isInflated: false)
  }

  // MARK: By ranges

  private func head() throws(CacheError) -> [UInt8] {
    let range = state.withLock { $0.steps.next(wantedOffset: 0, receivedOffset: 0) }
    let answer = Answer<[UInt8]>()
    try fetch(range, ReceivedBytes(expectedBytes: range.count) { answer.give($0) })
    return try restating(range) { () throws(StoreError) in try answer.wait() }
  }

  private func walk() throws(CacheError) {
    while true {
      let range = state.withLock { state -> Range<Int64>? in
        guard !state.scanner.isDone else { return nil }
        let wanted = state.scanner.nextOffset
        let range = state.steps.next(wantedOffset: wanted, receivedOffset: state.receivedOffset)
        guard !range.isEmpty else {
          state.scanner.endObject(at: wanted)
          return nil
        }
        state.receivedOffset = range.lowerBound
        state.isBrokenOff = false
        return range
      }
      guard let range else { return }
      if range.count >= Self.minStreamedBytes, case let requests = requestsAtOnce(), requests > 1 {
        try stream(from: range.lowerBound, requests)
        continue
      }
      let answer = Answer<Void>()
      try fetch(range, HeaderFeed(self, range, answer))
      try restating(range) { () throws(StoreError) in try answer.wait() }
    }
  }

  /// Below this one request does as well as several.
  private static let minStreamedBytes = 4 * Int(ObjectStream.pieceBytes)

  /// Walks on with several requests under way, to the object's end or a large member.
  private func stream(from offset: Int64, _ requests: Int) throws(CacheError) {
    let stream = ObjectStream(store: store, object: object, from: offset, piecesAtOnce: requests)
    defer { stream.cancel() }
    try hold(stream)
    var bytes: [UInt8] = []
    while true {
      try restating(offset..<object.sizeBytes) { () throws(StoreError) in
        try stream.next(into: &bytes)
      }
      if bytes.isEmpty { return }
      let verdict = bytes.withUnsafeBytes { take($0, of: offset..<object.sizeBytes) }
      if verdict == .stop { return }
    }
  }

  private func hold(_ stream: ObjectStream) throws(CacheError) {
    let isCancelled = state.withLock { state in
      state.stream = stream
      return state.isCancelled
    }
    if isCancelled { throw .closed }
  }

  private func fetch(_ range: Range<Int64>, _ receiver: any RangeReceiver) throws(CacheError) {
    let request = RangeRequest(object: object, range: range, priority: .reader)
    let ticket = store.fetch(request, into: receiver)
    let isCancelled = state.withLock { state in
      state.ticket = ticket
      return state.isCancelled
    }
    if isCancelled { ticket.cancel() }
  }

  private func feed(_ bytes: [UInt8], at offset: Int64) {
    let passed = bytes.withUnsafeBytes { all in
      state.withLock { state in
        let before = state.scanner.nextOffset
        state.scanner.feed(all, at: offset)
        state.receivedOffset = offset + Int64(bytes.count)
        return state.scanner.nextOffset - before
      }
    }
    progress(passed)
  }

  /// Takes the next bytes of a request, on the store's thread.
  fileprivate func take(
    _ bytes: UnsafeRawBufferPointer,
    of range: Range<Int64>
  ) -> ReceiverVerdict {
    let (passed, verdict) = state.withLock { state -> (Int64, ReceiverVerdict) in
      if state.isCancelled { return (0, .stop) }
      let before = state.scanner.nextOffset
      state.scanner.feed(bytes, at: state.receivedOffset)
      state.receivedOffset += Int64(bytes.count)
      let wanted = state.scanner.nextOffset
      var isWanted = !state.scanner.isDone
      if isWanted && wanted > before {
        isWanted = state.steps.isWorthwhile(
          wantedOffset: wanted,
          receivedOffset: state.receivedOffset,
          range: range
        )
      }
      let isLast = state.receivedOffset >= range.upperBound
      state.isBrokenOff = !isWanted && !isLast
      return (wanted - before, state.isBrokenOff ? .stop : .more)
    }
    progress(passed)
    return verdict
  }

  fileprivate var isBrokenOff: Bool { state.withLock { $0.isBrokenOff } }

  // MARK: From front to back

  private func readWhole() throws(CacheError) -> IndexedShard {
    let stream = ObjectStream(store: store, object: object)
    defer { stream.cancel() }
    try hold(stream)
    var bytes = try next(of: stream)
    // The first request may bring less than a block.
    while bytes.count < min(ShardContent.decidingBytes, Int(clamping: object.sizeBytes)) {
      let more = try next(of: stream)
      if more.isEmpty { break }
      bytes += more
    }
    switch bytes.withUnsafeBytes({ ShardContent.detect(firstBytes: $0) }) {
    case .compressed(let format): return try inflated(first: bytes, format, stream)
    case .tar:
      var offset: Int64 = 0
      while !bytes.isEmpty {
        feed(bytes, at: offset)
        offset += Int64(bytes.count)
        bytes = try next(of: stream)
      }
      state.withLock { if !$0.scanner.isDone { $0.scanner.endObject(at: offset) } }
      return walked
    case let content: return rejected(content)
    }
  }

  private func inflated(
    first: [UInt8],
    _ format: CompressionFormat,
    _ stream: ObjectStream
  ) throws(CacheError) -> IndexedShard {
    // How many bytes come out is known at the end only.
    var scanner = TarScanner(objectBytes: Int64.max)
    var outputBytes: Int64 = 0
    var failure: CacheError?
    do throws(DecompressionError) {
      let decompressor = try Decompressor(format, maxOutputBytes: maxInflatedBytes)
      var bytes = first
      while !bytes.isEmpty {
        progress(Int64(bytes.count))
        let result = bytes.withUnsafeBytes { input in
          Result { () throws(DecompressionError) in
            try decompressor.decompress(input) { output in
              scanner.feed(output, at: outputBytes)
              outputBytes += Int64(output.count)
            }
          }
        }
        try result.get()
        switch Result(catching: { () throws(CacheError) in try next(of: stream) }) {
        case .success(let more): bytes = more
        case .failure(let error):
          failure = error
          throw .stopped
        }
      }
      try decompressor.finish()
      if decompressor.hasTrailingData { scanner.noteTrailingData() }
    } catch {
      if let failure { throw failure }
      guard let errorClass = error.errorClass else {
        throw .shardBad(shard: object.key, errorClass: "\(error)", offset: outputBytes)
      }
      let index = ShardIndex.rejected(errorClass, objectBytes: outputBytes)
      return IndexedShard(index: index, isInflated: true)
    }
    scanner.endObject(at: outputBytes)
    return IndexedShard(index: scanner.snapshot(), isInflated: true)
  }

  private func next(of stream: ObjectStream) throws(CacheError) -> [UInt8] {
    try restating(0..<object.sizeBytes) { () throws(StoreError) in try stream.next() }
  }

  private func restating<Value>(
    _ range: Range<Int64>,
    _ body: () throws(StoreError) -> Value
  ) throws(CacheError) -> Value {
    do throws(StoreError) {
      return try body()
    } catch {
      switch error {
      case .cancelled: throw .closed
      case .objectChanged(_, let listed, let found):
        throw .shardChanged(shard: object.key, detail: "listed with \(listed), now \(found)")
      default: throw .fetch(shard: object.key, range: range, error)
      }
    }
  }
}

/// Feeds one request's bytes to a walk as they come.
private final class HeaderFeed: RangeReceiver {
  private let walk: ShardWalk
  private let range: Range<Int64>
  private let answer: Answer<Void>

  init(_ walk: ShardWalk, _ range: Range<Int64>, _ answer: Answer<Void>) {
    self.walk = walk
    self.range = range
    self.answer = answer
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    walk.take(bytes, of: range)
  }

  func finish(_ result: Result<Void, StoreError>) {
    answer.give(walk.isBrokenOff ? .success(()) : result)
  }
}
