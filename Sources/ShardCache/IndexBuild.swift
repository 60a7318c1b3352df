import Decompression
import Glibc
import Remote
import Synchronization
import TarIndex

/// Makes one shard's index, from the bytes that pass by and from those it asks for.
///
/// Where nobody waits it only looks at what is fetched for others. Where somebody does it goes on
/// through the shard as far as the sample that is wanted: in large steps where the members are
/// small, from header to header where their bodies are not worth reading.
final class IndexBuild: CacheWaiter {
  private enum Phase {
    /// Nobody has asked yet.
    case idle

    /// The index file of an earlier mount is being looked for.
    case opening

    /// The first bytes decide how the shard is read.
    case detecting

    case scanning

    /// The shard is read whole, by `WholeShardLoad`, which brings the index.
    case whole

    /// The index is being taken in; who comes now is told with the others.
    case ending

    case ended

    var isOver: Bool { self == .ending || self == .ended }
  }

  private struct State {
    var phase = Phase.idle
    var scanner: TarScanner
    var fedOffset: Int64 = 0
    var waiting: [(sample: Int, waiter: any CacheWaiter)] = []

    /// The whole index is to be made, whoever waits.
    var isWantedWhole = false

    /// A chunk or a header was asked for and has not come.
    var isFetching = false
    var stepBytes: Int64 = 0

    /// Why the object is no shard at all.
    var rejection: TarErrorClass?

    /// A hop under way, or the fetch of a published index.
    var hop: (any FetchTicket)?

    var isWanted: Bool { isWantedWhole || !waiting.isEmpty }
  }

  /// A body of at least this is jumped over: at 60 MB/s and 20 ms a request it takes as long to read
  /// 1.2 MB as to ask for what comes after it.
  private static let hopBytes: Int64 = 1 << 20

  /// One request beyond a large body brings a few small members and the next large one's header.
  private static let hopReadBytes: Int64 = 8 << 10

  /// What is asked for ahead of the scan, at most, and no more than a quarter of what memory holds.
  private let maxStepBytes: Int64

  /// Kept until the build ends, which `ShardReader.shutDown` sees to.
  private let reader: ShardReader
  private let shard: Int

  /// The count by which an order was made, if so.
  private let stated: Int?
  private let state: Mutex<State>

  /// The chunk that the scan goes on in, so that others' fetches need look no further; -1 for none.
  private let nextChunk = Atomic<Int32>(-1)

  init(reader: ShardReader, shard: Int, stated: Int?) {
    self.reader = reader
    self.stated = stated
    self.shard = shard
    let slotBytes = Int64(reader.settings.maxSlotCount) * Int64(ChunkID.sizeBytes)
    self.maxStepBytes = min(32 << 20, slotBytes / 4)
    self.state = Mutex(State(scanner: TarScanner(objectBytes: reader.shards[shard].sizeBytes)))
  }

  // MARK: Asking

  /// Tells the waiter once sample `number` is known, or that there are fewer.
  func want(_ number: Int, _ waiter: any CacheWaiter) {
    let isOver = state.withLock { state in
      if state.phase == .ended { return true }
      state.waiting.append((number, waiter))
      return false
    }
    if isOver { return waiter.cacheAnswered(nil) }
    begin()
    drive()
  }

  /// Forgets someone who no longer waits; what is made so far is kept, and goes on for the next.
  func leave(_ waiter: any CacheWaiter) {
    let hasDeserted = state.withLock { state in
      state.waiting.removeAll { $0.waiter.speaks(for: waiter) }
      return state.phase == .whole && !state.isWanted
    }
    if hasDeserted { reader.leaveWholeLoad(ofShard: shard, self) }
  }

  /// Has the whole index made though nobody waits for it.
  func wantWhole() {
    let isFirst = state.withLock { state in
      defer { state.isWantedWhole = true }
      return !state.isWantedWhole
    }
    guard isFirst else { return }
    begin()
    drive()
  }

  /// Looks for an earlier mount's index, and takes what passes by from then on.
  func begin() {
    let isFirst = state.withLock { state in
      guard state.phase == .idle else { return false }
      state.phase = .opening
      return true
    }
    guard isFirst else { return }
    reader.workers.run(isUrgent: true) { [self] in open() }
  }

  private func open() {
    if let kept = reader.keptIndex(ofShard: shard) {
      return end(with: kept.index, isInflated: kept.isInflated, isNew: false)
    }
    guard let published = reader.published else { return beginReading() }
    let ticket = published.fetch(ofShard: shard) { [self] found in
      guard let found else { return beginReading() }
      reader.keep(found, ofShard: shard)
      end(with: found.index, isInflated: found.isInflated, isNew: false)
    }
    guard let ticket else { return }
    let isOver = state.withLock { state in
      if state.phase == .opening { state.hop = ticket }
      return state.phase.isOver
    }
    if isOver { ticket.cancel() }
  }

  /// Nobody has the index: the shard's own bytes are wanted.
  private func beginReading() {
    let isOn = state.withLock { state in
      guard state.phase == .opening else { return false }
      state.hop = nil
      state.phase = reader.shards[shard].sizeBytes == 0 ? .scanning : .detecting
      nextChunk.store(0, ordering: .sequentiallyConsistent)
      return true
    }
    if isOn { drive() }
  }

  /// A chunk of this shard has new bytes.
  func offer(_ chunk: Int32) {
    guard chunk == nextChunk.load(ordering: .sequentiallyConsistent) else { return }
    drive()
  }

  func cacheAnswered(_ failure: CacheError?) {
    state.withLock { $0.isFetching = false }
    if let failure { return fail(failure) }
    drive()
  }

  // MARK: Going on

  private enum Step {
    case nothing
    case ended(ShardIndex)
    case whole
    case chunk(Range<Int64>, ahead: Range<Int64>)
    case header(Range<Int64>)
  }

  private func drive() {
    let (step, served, snapshot) = state.withLock { state in
      feedWhatIsThere(&state)
      let (served, snapshot) = takeServed(&state)
      return (nextStep(&state), served, snapshot)
    }
    reader.roomWasMade()
    if let snapshot { reader.publish(snapshot, ofShard: shard, isInflated: false) }
    for waiter in served { waiter.cacheAnswered(nil) }
    switch step {
    case .nothing: break
    case .ended(let index): finish(with: index, isInflated: false, isNew: true)
    case .whole: reader.loadWhole(shard, self)
    case .chunk(let range, let ahead):
      let size = reader.shards[shard].sizeBytes
      if !ahead.isEmpty { reader.obtainAhead(ahead, ofShard: shard) }
      _ = reader.obtain(range, ofShard: shard, plane: .stored, planeBytes: size, .scan, self)
    case .header(let range): hop(to: range)
    }
  }

  private func feedWhatIsThere(_ state: inout State) {
    // Too few bytes for a tar may still be a compressed one, so all are detected first.
    while state.phase == .detecting
      || state.phase == .scanning && !state.scanner.isDone && state.rejection == nil
    {
      let offset = state.phase == .detecting ? 0 : state.scanner.nextOffset
      let number = Int32(clamping: offset / Int64(ChunkID.sizeBytes))
      nextChunk.store(number, ordering: .sequentiallyConsistent)
      let chunk = ChunkID(shard: Int32(shard), plane: .stored, number: number)
      let wasFed = reader.withFilled(chunk) { bytes in
        let known = Int64(chunk.startOffset) + Int64(bytes.count)
        if state.phase == .detecting {
          let needed = min(reader.shards[shard].sizeBytes, Int64(ShardContent.decidingBytes))
          guard known >= needed else { return false }
          state.phase = detectedPhase(
            &state,
            UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(needed)))
          )
          return true
        }
        guard known > offset else { return false }
        let start = Int(offset - chunk.startOffset)
        state.scanner.feed(UnsafeRawBufferPointer(rebasing: bytes[start...]), at: offset)
        state.fedOffset = known
        return true
      }
      guard wasFed else { return }
    }
  }

  private func detectedPhase(_ state: inout State, _ first: UnsafeRawBufferPointer) -> Phase {
    let content = ShardContent.detect(firstBytes: first)
    if case .compressed = content { return .whole }
    if let rejection = content.rejection {
      state.rejection = rejection
      return .scanning
    }
    return reader.shards[shard].acceptsRanges ? .scanning : .whole
  }

  /// Who can now be told, and what to publish for them.
  private func takeServed(_ state: inout State) -> ([any CacheWaiter], ShardIndex?) {
    guard state.phase == .scanning, !state.scanner.isDone else { return ([], nil) }
    let count = state.scanner.sampleCount
    // The last stated sample is shown once it is known to be the last.
    if let stated, count >= stated { return ([], nil) }
    guard state.waiting.contains(where: { $0.sample < count }) else { return ([], nil) }
    var served: [any CacheWaiter] = []
    state.waiting.removeAll { waiting in
      guard waiting.sample < count else { return false }
      served.append(waiting.waiter)
      return true
    }
    return (served, state.scanner.snapshot())
  }

  private func nextStep(_ state: inout State) -> Step {
    switch state.phase {
    case .idle, .opening, .ending, .ended: return .nothing
    case .detecting where reader.shards[shard].acceptsRanges: break
    case .detecting, .whole:
      guard !state.isFetching, state.isWanted else { return .nothing }
      state.phase = .whole
      state.isFetching = true
      return .whole
    case .scanning:
      guard state.rejection != nil || state.scanner.isDone else { break }
      state.phase = .ending
      let rejected = state.rejection.map {
        ShardIndex.rejected($0, objectBytes: state.scanner.objectBytes)
      }
      return .ended(rejected ?? state.scanner.snapshot())
    }
    guard !state.isFetching, state.isWanted else { return .nothing }
    state.isFetching = true
    let offset = state.phase == .detecting ? 0 : state.scanner.nextOffset
    let size = reader.shards[shard].sizeBytes
    if offset - state.fedOffset >= Self.hopBytes, !reader.isOnItsWay(offset, ofShard: shard) {
      return .header(offset..<min(size, offset + Self.hopReadBytes))
    }
    let chunkBytes = Int64(ChunkID.sizeBytes)
    let chunkEnd = min(size, (offset / chunkBytes + 1) * chunkBytes)
    let end = min(chunkEnd, offset + Int64(ShardContent.decidingBytes))
    let ahead = chunkEnd..<min(size, chunkEnd + state.stepBytes)
    state.stepBytes = min(maxStepBytes, max(chunkBytes, state.stepBytes * 2))
    return .chunk(offset..<end, ahead: ahead)
  }

  // MARK: Hops

  private func hop(to range: Range<Int64>) {
    let receiver = ReceivedBytes(expectedBytes: range.count) { [self] result in
      switch result {
      case .success(let bytes):
        state.withLock { state in
          state.isFetching = false
          state.hop = nil
          guard state.phase == .scanning, state.scanner.nextOffset == range.lowerBound else {
            return
          }
          bytes.withUnsafeBytes { state.scanner.feed($0, at: range.lowerBound) }
          state.fedOffset = range.lowerBound + Int64(bytes.count)
        }
        drive()
      case .failure(let error):
        let chunk = Int32(clamping: range.lowerBound / Int64(ChunkID.sizeBytes))
        cacheAnswered(reader.restate(error, ofShard: shard, run: chunk..<chunk + 1))
      }
    }
    let request = RangeRequest(
      object: reader.shards[shard],
      range: range,
      priority: .reader
    )
    let ticket = reader.store.fetch(request, into: receiver)
    let isOver = state.withLock { state in
      if state.isFetching { state.hop = ticket }
      return state.phase.isOver
    }
    if isOver { ticket.cancel() }
  }

  // MARK: Ending

  /// Takes the finished index, from disk or from a whole load.
  func end(with index: ShardIndex, isInflated: Bool, isNew: Bool) {
    let isFirst = state.withLock { state in
      guard !state.phase.isOver else { return false }
      state.phase = .ending
      return true
    }
    if isFirst { finish(with: index, isInflated: isInflated, isNew: isNew) }
  }

  private func finish(with index: ShardIndex, isInflated: Bool, isNew: Bool) {
    nextChunk.store(-1, ordering: .sequentiallyConsistent)
    let failure = reader.complete(index, ofShard: shard, isInflated: isInflated, isNew: isNew)
    for waiter in takeWaiters() { waiter.cacheAnswered(failure) }
  }

  /// Tells everybody why; the next who asks begins anew.
  func fail(_ failure: CacheError) {
    let (isFirst, hop) = state.withLock { state in
      guard !state.phase.isOver else { return (false, nil as (any FetchTicket)?) }
      state.phase = .ending
      return (true, state.hop)
    }
    guard isFirst else { return }
    nextChunk.store(-1, ordering: .sequentiallyConsistent)
    hop?.cancel()
    reader.forget(self, ofShard: shard)
    for waiter in takeWaiters() { waiter.cacheAnswered(failure) }
  }

  private func takeWaiters() -> [any CacheWaiter] {
    state.withLock { state in
      state.phase = .ended
      defer { state.waiting = [] }
      return state.waiting.map(\.waiter)
    }
  }
}
