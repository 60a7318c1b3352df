/// Which chunks are in memory or on their way, who waits for them, and which goes first when room is
/// needed.
///
/// Decides and counts, does nothing: no I/O, no clock, no memory of its own. `ShardReader` holds it
/// within a lock and acts on what it says.
struct FetchPlan {
  /// A chunk in memory, or on its way there.
  struct Slot {
    var chunk: ChunkID
    var lengthBytes: Int
    var filledBytes = 0
    var memory: UnsafeMutableRawPointer?
    var leaseCount = 0

    /// Written to disk, or never to be.
    var isClean = false

    /// Fetched ahead of any reader and not read since.
    var isAhead: Bool
    var ticket: FetchNumber
    var waiting: [Waiting] = []
    var older = Self.none
    var newer = Self.none

    static let none = -1
    var isComplete: Bool { filledBytes == lengthBytes }
  }

  /// Someone who waits until a chunk is filled up to some byte.
  struct Waiting {
    let filledBytes: Int
    let waiter: any CacheWaiter
  }

  /// Names one fetch under way.
  typealias FetchNumber = Int

  /// Chunks by least recent use, oldest first: what was read, and what is ahead of all readers.
  private struct Queue {
    var oldest = Slot.none
    var newest = Slot.none
  }

  private var slots: [Slot] = []
  private var freeSlots: [Int] = []
  private var numbers: [ChunkID: Int] = [:]
  private var read = Queue()
  private var ahead = Queue()

  /// How many chunks may be in memory or on their way.
  let maxSlotCount: Int

  private(set) var evictionCount = 0

  init(maxSlotCount: Int) {
    self.maxSlotCount = maxSlotCount
  }

  var slotCount: Int { numbers.count }

  // MARK: Reading

  /// What a reader finds when it asks for a part of a chunk.
  enum Finding {
    case ready(slot: Int)
    case onItsWay(slot: Int)
    case absent
  }

  func finding(of chunk: ChunkID, filledTo bytes: Int) -> Finding {
    guard let number = numbers[chunk] else { return .absent }
    return slots[number].filledBytes >= bytes ? .ready(slot: number) : .onItsWay(slot: number)
  }

  func contains(_ chunk: ChunkID) -> Bool { numbers[chunk] != nil }

  /// Keeps a ready chunk in memory until the lease is given back, and marks it as just read.
  mutating func lease(_ number: Int) -> UnsafeMutableRawPointer? {
    slots[number].leaseCount += 1
    touch(number)
    return slots[number].memory
  }

  /// Keeps a chunk in memory without counting as a read.
  mutating func hold(_ number: Int) -> UnsafeMutableRawPointer? {
    slots[number].leaseCount += 1
    return slots[number].memory
  }

  mutating func release(_ number: Int) {
    precondition(slots[number].leaseCount > 0, "a lease was given back twice")
    slots[number].leaseCount -= 1
  }

  mutating func wait(for number: Int, filledTo bytes: Int, _ waiter: any CacheWaiter) {
    slots[number].waiting.append(Waiting(filledBytes: bytes, waiter: waiter))
    touch(number)
  }

  // MARK: Fetching

  /// The first run of chunks in the range that are neither in memory nor on their way.
  ///
  /// - Parameters:
  ///   - wanted: Chunk numbers.
  ///   - shard: Their shard.
  ///   - plane: Which bytes of the shard.
  ///   - maxLength: A longer run is cut.
  ///   - isElsewhere: Chunks that need not be in memory now, for example because they are on disk.
  /// - Returns: nil where none is missing.
  func firstMissing(
    in wanted: Range<Int32>,
    ofShard shard: Int32,
    plane: BytePlane,
    maxLength: Int32,
    isElsewhere: (ChunkID) -> Bool = { _ in false }
  ) -> Range<Int32>? {
    var start: Int32?
    for number in wanted {
      let chunk = ChunkID(shard: shard, plane: plane, number: number)
      let isMissing = numbers[chunk] == nil && !isElsewhere(chunk)
      if let start, !isMissing || number - start == maxLength { return start..<number }
      if isMissing && start == nil { start = number }
    }
    return start.map { $0..<wanted.upperBound }
  }

  /// Makes room for a run of chunks and enters them as on their way.
  ///
  /// - Parameters:
  ///   - run: Chunks that `missing` named.
  ///   - shard: Their shard.
  ///   - plane: Which bytes of the shard.
  ///   - planeBytes: The plane's size, which bounds the last chunk.
  ///   - isAhead: Nobody waits for them yet.
  ///   - sparingAhead: What was fetched ahead stays, even where nothing else can go.
  ///   - ticket: The fetch that brings them.
  /// - Returns: The memory of what had to go, for the pool; nil where there is no room, and then
  ///   nothing was changed.
  mutating func begin(
    _ run: Range<Int32>,
    ofShard shard: Int32,
    plane: BytePlane,
    planeBytes: Int64,
    isAhead: Bool,
    sparingAhead: Bool,
    ticket: FetchNumber
  ) -> [UnsafeMutableRawPointer]? {
    guard let freed = makeRoom(for: run.count, sparingAhead: sparingAhead) else { return nil }
    for number in run {
      let chunk = ChunkID(shard: shard, plane: plane, number: number)
      let slot = Slot(
        chunk: chunk,
        lengthBytes: chunk.lengthBytes(ofPlane: planeBytes),
        isAhead: isAhead,
        ticket: ticket
      )
      insert(slot)
    }
    return freed
  }

  /// The slot of a chunk on its way, for who brings its bytes.
  func slot(of chunk: ChunkID) -> Int? { numbers[chunk] }

  func ticket(ofSlot number: Int) -> FetchNumber { slots[number].ticket }
  func memory(ofSlot number: Int) -> UnsafeMutableRawPointer? { slots[number].memory }
  func lengthBytes(ofSlot number: Int) -> Int { slots[number].lengthBytes }
  func filledBytes(ofSlot number: Int) -> Int { slots[number].filledBytes }
  func isClean(_ number: Int) -> Bool { slots[number].isClean }

  mutating func assign(_ memory: UnsafeMutableRawPointer, to number: Int) {
    slots[number].memory = memory
  }

  /// Notes that a chunk is filled up to a byte.
  ///
  /// - Returns: Who waited for no more than that.
  mutating func filled(_ number: Int, to bytes: Int) -> [any CacheWaiter] {
    slots[number].filledBytes = bytes
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
    slots[number].lengthBytes = bytes
  }

  mutating func markClean(_ number: Int) {
    slots[number].isClean = true
  }

  /// Gives up chunks that a fetch will no longer bring.
  ///
  /// - Returns: Who waited for them, and the memory that is free again.
  mutating func abandon(
    _ run: Range<Int32>,
    ofShard shard: Int32,
    plane: BytePlane,
    ticket: FetchNumber
  ) -> (waiters: [any CacheWaiter], freed: [UnsafeMutableRawPointer]) {
    var waiters: [any CacheWaiter] = []
    var freed: [UnsafeMutableRawPointer] = []
    for chunkNumber in run {
      let chunk = ChunkID(shard: shard, plane: plane, number: chunkNumber)
      guard let number = numbers[chunk], slots[number].ticket == ticket,
        !slots[number].isComplete
      else { continue }
      waiters += slots[number].waiting.map(\.waiter)
      // A reader may hold the part that came; the slot then goes with its last lease.
      if slots[number].leaseCount > 0 {
        slots[number].waiting = []
        slots[number].isClean = true
        numbers[chunk] = nil
        orphans.insert(number)
        unlink(number)
      } else if let memory = remove(number) {
        freed.append(memory)
      }
    }
    return (waiters, freed)
  }

  private var orphans: Set<Int> = []

  /// Frees an abandoned slot once its last lease is back.
  mutating func reapIfOrphan(_ number: Int) -> UnsafeMutableRawPointer? {
    guard !orphans.isEmpty, slots[number].leaseCount == 0, orphans.remove(number) != nil else {
      return nil
    }
    let memory = slots[number].memory
    slots[number].memory = nil
    freeSlots.append(number)
    return memory
  }

  // MARK: Eviction

  /// Drops the chunk that is needed least, if any can go.
  ///
  /// What was read goes first, the least recently used before the others. Of what lies ahead of the
  /// readers, what came last goes first, since it is needed last.
  mutating func evictOne(sparingAhead: Bool) -> UnsafeMutableRawPointer? {
    var number = read.oldest
    while number != Slot.none {
      if isEvictable(number) { return evict(number) }
      number = slots[number].newer
    }
    guard !sparingAhead else { return nil }
    number = ahead.newest
    while number != Slot.none {
      if isEvictable(number) { return evict(number) }
      number = slots[number].older
    }
    return nil
  }

  /// Drops every chunk of a shard that nobody holds, for example because the object has changed.
  mutating func evictAll(ofShard shard: Int32) -> [UnsafeMutableRawPointer] {
    let doomed = numbers.filter { $0.key.shard == shard && isEvictable($0.value) }.map(\.value)
    return doomed.compactMap { evict($0) }
  }

  private mutating func makeRoom(
    for count: Int,
    sparingAhead: Bool
  ) -> [UnsafeMutableRawPointer]? {
    guard count <= maxSlotCount else { return nil }
    var freed: [UnsafeMutableRawPointer] = []
    while numbers.count + orphans.count + count > maxSlotCount {
      guard let memory = evictOne(sparingAhead: sparingAhead) else {
        // Room for a part is no room: what went was the least needed and is given to the pool.
        spare += freed
        return nil
      }
      freed.append(memory)
    }
    return freed
  }

  /// Memory freed by an attempt that found too little room.
  private var spare: [UnsafeMutableRawPointer] = []

  mutating func takeSpare() -> [UnsafeMutableRawPointer] {
    guard !spare.isEmpty else { return [] }
    defer { spare = [] }
    return spare
  }

  private func isEvictable(_ number: Int) -> Bool {
    slots[number].leaseCount == 0 && slots[number].isClean && slots[number].isComplete
      && slots[number].waiting.isEmpty
  }

  private mutating func evict(_ number: Int) -> UnsafeMutableRawPointer? {
    evictionCount += 1
    return remove(number)
  }

  // MARK: Slots and queues

  private mutating func insert(_ slot: Slot) {
    let number: Int
    if let free = freeSlots.popLast() {
      number = free
      slots[number] = slot
    } else {
      number = slots.count
      slots.append(slot)
    }
    numbers[slot.chunk] = number
    link(number)
  }

  private mutating func remove(_ number: Int) -> UnsafeMutableRawPointer? {
    unlink(number)
    numbers[slots[number].chunk] = nil
    let memory = slots[number].memory
    slots[number].memory = nil
    slots[number].waiting = []
    freeSlots.append(number)
    return memory
  }

  private mutating func touch(_ number: Int) {
    guard !orphans.contains(number) else { return }
    if !slots[number].isAhead && read.newest == number { return }
    unlink(number)
    slots[number].isAhead = false
    link(number)
  }

  private mutating func link(_ number: Int) {
    let isAhead = slots[number].isAhead
    let newest = isAhead ? ahead.newest : read.newest
    slots[number].older = newest
    slots[number].newer = Slot.none
    if newest != Slot.none { slots[newest].newer = number }
    update(isAhead) { queue in
      queue.newest = number
      if queue.oldest == Slot.none { queue.oldest = number }
    }
  }

  private mutating func unlink(_ number: Int) {
    let older = slots[number].older
    let newer = slots[number].newer
    if older != Slot.none { slots[older].newer = newer }
    if newer != Slot.none { slots[newer].older = older }
    update(slots[number].isAhead) { queue in
      if queue.oldest == number { queue.oldest = newer }
      if queue.newest == number { queue.newest = older }
    }
    slots[number].older = Slot.none
    slots[number].newer = Slot.none
  }

  private mutating func update(_ isAhead: Bool, _ change: (inout Queue) -> Void) {
    if isAhead {
      change(&ahead)
    } else {
      change(&read)
    }
  }
}
