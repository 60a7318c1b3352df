/// Which chunks are in memory or on their way, who waits for them, and which goes first when room is
/// needed.
///
/// Decides and counts, does nothing: no I/O, no clock. It keeps the blocks of memory that its chunks
/// have left behind, and hands them to the next ones, so that there are never more blocks than
/// slots. `ShardReader` holds it within a lock and acts on what it says.
struct FetchPlan {
  /// Names one fetch under way.
  typealias FetchNumber = Int

  /// For whom a chunk is brought.
  enum Need {
    /// A reader waits for it.
    case read

    /// A reader is at a sample in it, or soon will be, and not at the ones next to that.
    case sample

    /// Someone passes over it who need not find it twice: the scan of an index, a whole load.
    case scan

    /// Nobody waits for it yet.
    case ahead
  }

  private var slots = ChunkSlots()
  private var numbers: [ChunkID: Int] = [:]
  private var orphanCount = 0
  private var freeBlocks: [UnsafeMutableRawPointer] = []

  /// How many chunks may be in memory or on their way.
  let maxSlotCount: Int

  /// Chunks that cannot go: on their way, or still to be written to disk.
  private(set) var unsettledCount = 0
  private var unsettledCounts: [Int32: Int] = [:]

  private(set) var evictionCount = 0

  /// Chunks that were fetched ahead and have been read since.
  private(set) var caughtUpCount = 0

  init(maxSlotCount: Int) {
    self.maxSlotCount = maxSlotCount
  }

  var slotCount: Int { numbers.count + orphanCount }

  // MARK: Reading

  /// What a reader finds when it asks for a part of a chunk.
  enum Finding {
    case ready(slot: Int)
    case onItsWay(slot: Int)
    case absent
  }

  /// Looks for bytes of a chunk.
  func finding(of chunk: ChunkID, holding bytes: Range<Int>) -> Finding {
    guard let number = numbers[chunk] else { return .absent }
    let isWithin = bytes.lowerBound >= slots[number].part.lowerBound
    if isWithin && slots[number].filledBytes >= bytes.upperBound { return .ready(slot: number) }
    return lacks(chunk, bytes) ? .absent : .onItsWay(slot: number)
  }

  /// Whether a chunk must be brought for some of its bytes: it is neither in memory nor on its way,
  /// or there is a part of it that does not do.
  ///
  /// A part on its way is waited for and judged then.
  func lacks(_ chunk: ChunkID, _ bytes: Range<Int>?) -> Bool {
    guard let number = numbers[chunk] else { return true }
    guard !slots[number].isWhole, slots[number].isComplete else { return false }
    guard let bytes else { return true }
    return bytes.lowerBound < slots[number].part.lowerBound
      || bytes.upperBound > slots[number].part.upperBound
  }

  func contains(_ chunk: ChunkID) -> Bool { numbers[chunk] != nil }

  /// Keeps a chunk in memory until the lease is given back, and marks it as just read.
  mutating func lease(_ number: Int) -> UnsafeMutableRawPointer? {
    use(number)
    return hold(number)
  }

  /// Keeps a chunk in memory without counting as a read.
  mutating func hold(_ number: Int) -> UnsafeMutableRawPointer? {
    slots[number].leaseCount += 1
    return slots[number].memory
  }

  mutating func release(_ number: Int) {
    precondition(slots[number].leaseCount > 0, "a lease was given back twice")
    slots[number].leaseCount -= 1
    guard slots[number].isOrphan, slots[number].leaseCount == 0 else { return }
    orphanCount -= 1
    recycle(number)
  }

  /// Marks a chunk as just read.
  mutating func use(_ number: Int) {
    guard !slots[number].isOrphan else { return }
    if !slots[number].isAhead && slots.read.newest == number { return }
    if slots[number].isAhead { caughtUpCount += 1 }
    slots.move(number, to: .justRead)
  }

  /// Has the waiter told when a chunk is filled up to a byte.
  mutating func wait(for number: Int, filledTo bytes: Int, _ waiter: any CacheWaiter) {
    let end = min(bytes, slots[number].part.upperBound)
    slots[number].waiting.append(ChunkSlots.Waiting(filledBytes: end, waiter: waiter))
  }

  /// Takes out someone who no longer waits.
  ///
  /// - Returns: By the fetches that nobody waits for now, the chunks that he waited for.
  mutating func leave(_ waiter: any CacheWaiter) -> [FetchNumber: ChunkID] {
    var deserted: [FetchNumber: ChunkID] = [:]
    for number in slots.numbers where !slots[number].waiting.isEmpty {
      let count = slots[number].waiting.count
      slots[number].waiting.removeAll { $0.waiter === waiter }
      guard slots[number].waiting.count < count else { continue }
      deserted[slots[number].ticket] = slots[number].chunk
    }
    guard !deserted.isEmpty else { return [:] }
    for number in slots.numbers where !slots[number].waiting.isEmpty {
      deserted[slots[number].ticket] = nil
    }
    return deserted
  }

  /// Makes a chunk the one that is needed next, until it is read.
  mutating func expect(_ number: Int) {
    guard !slots[number].isOrphan, slots.ahead.oldest != number else { return }
    slots.move(number, to: .nearest)
  }

  // MARK: Fetching

  /// The first run of chunks in the range that are neither in memory nor on their way.
  ///
  /// - Parameters:
  ///   - wanted: Chunk numbers.
  ///   - shard: Their shard.
  ///   - plane: Which bytes of the shard.
  ///   - bytes: Of the plane, where less than the whole chunks is wanted.
  ///   - maxLength: A longer run is cut.
  ///   - isElsewhere: Chunks that need not be in memory now, for example because they are on disk.
  /// - Returns: nil where none is missing.
  func firstMissing(
    in wanted: Range<Int32>,
    ofShard shard: Int32,
    plane: BytePlane,
    of bytes: Range<Int64>? = nil,
    maxLength: Int32,
    isElsewhere: (ChunkID) -> Bool = { _ in false }
  ) -> Range<Int32>? {
    var start: Int32?
    for number in wanted {
      let chunk = ChunkID(shard: shard, plane: plane, number: number)
      let isMissing = lacks(chunk, bytes.map(chunk.part)) && !isElsewhere(chunk)
      if let start, !isMissing || number - start == maxLength { return start..<number }
      if isMissing && start == nil { start = number }
    }
    return start.map { $0..<wanted.upperBound }
  }

  /// Makes room for a run of chunks and enters them as on their way.
  ///
  /// What is fetched ahead leaves a quarter of the slots to who reads now, and a shard whose bytes do
  /// not come leaves some to the others: it gets no more once it has four times what is free.
  ///
  /// - Parameters:
  ///   - run: Chunks that `firstMissing` named.
  ///   - shard: Their shard.
  ///   - plane: Which bytes of the shard.
  ///   - planeBytes: The plane's size, which bounds the last chunk.
  ///   - part: What of the chunk is to come; nil for all. Of a run of one only.
  ///   - need: For whom.
  ///   - sparingAhead: What was fetched ahead stays, even where nothing else can go.
  ///   - ticket: The fetch that brings them.
  /// - Returns: Whether there was room; where not, no chunk was entered.
  mutating func begin(
    _ run: Range<Int32>,
    ofShard shard: Int32,
    plane: BytePlane,
    planeBytes: Int64,
    part: Range<Int>? = nil,
    for need: Need,
    sparingAhead: Bool,
    ticket: FetchNumber
  ) -> Bool {
    let maxUnsettledCount = need == .ahead ? maxSlotCount - maxSlotCount / 4 : maxSlotCount
    guard unsettledCount + run.count <= maxUnsettledCount, hasShare(ofShard: shard) else {
      return false
    }
    // What lies ahead leaves the chunks that are being read, or they would be fetched again.
    let minReadCount = need == .ahead && sparingAhead ? maxSlotCount / 8 : 0
    while slotCount + run.count > maxSlotCount {
      guard minReadCount == 0 || slots.read.count > minReadCount,
        evictOne(sparingAhead: sparingAhead)
      else { return false }
    }
    let place: ChunkSlots.Place =
      switch need {
      case .read, .sample: .nearest
      case .scan: .justRead
      case .ahead: .farthest
      }
    for number in run {
      let chunk = ChunkID(shard: shard, plane: plane, number: number)
      let lengthBytes = chunk.lengthBytes(ofPlane: planeBytes)
      // A part of it that did not do.
      if let old = numbers[chunk] { remove(old) }
      let slot = ChunkSlots.Slot(
        chunk: chunk,
        lengthBytes: lengthBytes,
        part: part,
        ticket: ticket
      )
      numbers[chunk] = slots.insert(slot, at: place)
      countUnsettled(1, ofShard: shard)
    }
    return true
  }

  private static let maxShare = 4

  /// Whether a shard has not yet its share of the slots.
  func hasShare(ofShard shard: Int32) -> Bool {
    unsettledCounts[shard, default: 0] < Self.maxShare * (maxSlotCount - unsettledCount)
  }

  /// The slot of a chunk that is in memory or on its way.
  func slot(of chunk: ChunkID) -> Int? { numbers[chunk] }

  func ticket(ofSlot number: Int) -> FetchNumber { slots[number].ticket }
  func lengthBytes(ofSlot number: Int) -> Int { slots[number].lengthBytes }
  func part(ofSlot number: Int) -> Range<Int> { slots[number].part }
  func filledBytes(ofSlot number: Int) -> Int { slots[number].filledBytes }
  func isClean(_ number: Int) -> Bool { slots[number].isClean }
  func isOrphan(_ number: Int) -> Bool { slots[number].isOrphan }

  /// The memory of a slot, from what others have left behind where it has none yet.
  mutating func memory(ofSlot number: Int) -> UnsafeMutableRawPointer? {
    if slots[number].memory == nil { slots[number].memory = freeBlocks.popLast() }
    return slots[number].memory
  }

  /// Gives a new block to a slot for which `memory` found none.
  mutating func assign(_ memory: UnsafeMutableRawPointer, to number: Int) {
    precondition(slots[number].memory == nil, "a slot was given two blocks")
    slots[number].memory = memory
  }

  /// Notes that a chunk is filled up to a byte.
  ///
  /// - Returns: Who waited for no more than that.
  mutating func filled(_ number: Int, to bytes: Int) -> [any CacheWaiter] {
    change(number) { $0.filledBytes = bytes }
    guard !slots[number].waiting.isEmpty else { return [] }
    var served: [any CacheWaiter] = []
    slots[number].waiting.removeAll { waiting in
      guard waiting.filledBytes <= bytes else { return false }
      served.append(waiting.waiter)
      return true
    }
    return served
  }

  /// Says how long a chunk is whose length was not known when it was begun.
  mutating func shorten(_ number: Int, to bytes: Int) {
    change(number) { slot in
      slot.lengthBytes = bytes
      slot.part = 0..<bytes
    }
  }

  /// Has all of a chunk come of which only a part was to.
  mutating func widen(_ chunk: ChunkID, ticket: FetchNumber) {
    guard let number = numbers[chunk], slots[number].ticket == ticket else { return }
    change(number) { $0.part = 0..<$0.lengthBytes }
  }

  mutating func markClean(_ number: Int) {
    change(number) { $0.isClean = true }
  }

  /// Gives up chunks that a fetch will no longer bring.
  ///
  /// - Returns: Who waited for them.
  mutating func abandon(
    _ run: Range<Int32>,
    ofShard shard: Int32,
    plane: BytePlane,
    ticket: FetchNumber
  ) -> [any CacheWaiter] {
    var waiters: [any CacheWaiter] = []
    for chunkNumber in run {
      let chunk = ChunkID(shard: shard, plane: plane, number: chunkNumber)
      guard let number = numbers[chunk], slots[number].ticket == ticket,
        !slots[number].isComplete
      else { continue }
      waiters += slots[number].waiting.map(\.waiter)
      remove(number)
    }
    return waiters
  }

  /// Takes out everybody who waits.
  mutating func takeWaiters() -> [any CacheWaiter] {
    var waiters: [any CacheWaiter] = []
    for number in slots.numbers {
      waiters += slots[number].waiting.map(\.waiter)
      slots[number].waiting = []
    }
    return waiters
  }

  // MARK: Eviction

  /// Whether a chunk could be begun now.
  var hasRoom: Bool {
    if slotCount < maxSlotCount { return true }
    return slots.firstEvictableRead != nil || slots.farthestEvictableAhead != nil
  }

  /// Drops the chunk that is needed least, if any can go.
  ///
  /// What was read goes first, the least recently used before the others. Of what is still to be
  /// read, what came last goes first, since it is needed last, and what is waited for goes last.
  mutating func evictOne(sparingAhead: Bool) -> Bool {
    var number = slots.firstEvictableRead
    if number == nil && !sparingAhead { number = slots.farthestEvictableAhead }
    guard let number else { return false }
    evictionCount += 1
    remove(number)
    return true
  }

  /// Drops every whole chunk of a shard's plane; where one is held, nobody else finds it any more.
  mutating func drop(shard: Int32, plane: BytePlane) {
    for (chunk, number) in numbers
    where chunk.shard == shard && chunk.plane == plane && slots[number].isComplete {
      remove(number)
    }
  }

  /// How many chunks `passOver` looks at in one go.
  private static let maxLooks = 256

  /// Lets go of what was fetched to be read and is no longer ahead of anybody.
  ///
  /// Looks at the nearest of them only, which is where what nobody came for is left lying.
  mutating func passOver(where isStale: (ChunkID) -> Bool) {
    var number = slots.ahead.oldest
    for _ in 0..<Self.maxLooks where number != ChunkSlots.Slot.none {
      let next = slots[number].newer
      if isStale(slots[number].chunk) { slots.move(number, to: .justRead) }
      number = next
    }
  }

  /// Blocks of memory that it has, in slots and spare.
  var blockCount: Int {
    freeBlocks.count + slots.numbers.count { slots[$0].memory != nil }
  }

  // MARK: Changes

  private mutating func change(_ number: Int, _ change: (inout ChunkSlots.Slot) -> Void) {
    let wasCounted = !slots[number].isSettled && !slots[number].isOrphan
    change(&slots[number])
    let isCounted = !slots[number].isSettled && !slots[number].isOrphan
    countUnsettled((isCounted ? 1 : 0) - (wasCounted ? 1 : 0), ofShard: slots[number].chunk.shard)
  }

  private mutating func countUnsettled(_ change: Int, ofShard shard: Int32) {
    guard change != 0 else { return }
    unsettledCount += change
    let count = unsettledCounts[shard, default: 0] + change
    unsettledCounts[shard] = count == 0 ? nil : count
  }

  /// Takes a chunk out; where someone still reads it, its slot goes with the last lease.
  private mutating func remove(_ number: Int) {
    slots.unlink(number)
    numbers[slots[number].chunk] = nil
    slots[number].waiting = []
    if !slots[number].isSettled { countUnsettled(-1, ofShard: slots[number].chunk.shard) }
    if slots[number].leaseCount > 0 {
      slots[number].isOrphan = true
      orphanCount += 1
    } else {
      recycle(number)
    }
  }

  private mutating func recycle(_ number: Int) {
    if let memory = slots[number].memory { freeBlocks.append(memory) }
    slots[number].memory = nil
    slots.free(number)
  }
}
