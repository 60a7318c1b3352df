/// The slots of chunks, each in one of two queues: what was read, and what is still to be read.
///
/// The queues are linked through the slots, so that a chunk changes its place without a search and
/// without memory of its own. Which goes when is for `FetchPlan` to decide.
struct ChunkSlots {
  /// A chunk in memory, or on its way there.
  struct Slot {
    let chunk: ChunkID
    var lengthBytes: Int

    /// What of the chunk comes to memory: all of it, or the blocks of a sample loaded from disk.
    var part: Range<Int>

    /// Where the bytes that have come end; 0 before the first.
    var filledBytes = 0
    var memory: UnsafeMutableRawPointer?
    var leaseCount = 0

    /// Written to disk, or never to be.
    var isClean = false

    /// Given up by its fetch while someone still reads what had come; in no queue.
    var isOrphan = false
    let ticket: FetchPlan.FetchNumber
    var waiting: [Waiting] = []

    /// Fetched for readers that have not read it since.
    fileprivate(set) var isAhead = false
    fileprivate(set) var older = Self.none
    fileprivate(set) var newer = Self.none

    static let none = -1
    var isWhole: Bool { part.count == lengthBytes }
    var isComplete: Bool { filledBytes == part.upperBound }
    var isSettled: Bool { isComplete && isClean }
    var isEvictable: Bool { leaseCount == 0 && isSettled && waiting.isEmpty }

    init(
      chunk: ChunkID,
      lengthBytes: Int,
      part: Range<Int>? = nil,
      ticket: FetchPlan.FetchNumber
    ) {
      self.chunk = chunk
      self.lengthBytes = lengthBytes
      self.part = part ?? 0..<lengthBytes
      self.ticket = ticket
    }
  }

  /// Someone who waits until a chunk is filled up to some byte.
  struct Waiting {
    let filledBytes: Int
    let waiter: any CacheWaiter
  }

  /// Slots from the oldest to the newest, linked both ways.
  struct Queue {
    fileprivate(set) var oldest = Slot.none
    fileprivate(set) var newest = Slot.none
    fileprivate(set) var count = 0
  }

  /// Where a chunk is put.
  enum Place {
    /// Behind all that was read.
    case justRead

    /// Before all that is still to be read.
    case nearest

    /// Behind all that is still to be read.
    case farthest
  }

  private var slots: [Slot] = []
  private var freeNumbers: [Int] = []

  /// What was read, by least recent use.
  private(set) var read = Queue()

  /// What is still to be read, the nearest first.
  private(set) var ahead = Queue()

  /// The numbers of all slots, free ones too.
  var numbers: Range<Int> { slots.indices }

  /// A slot in place, never a copy: who changes it holds no second reference to its waiters.
  subscript(number: Int) -> Slot {
    _read { yield slots[number] }
    _modify { yield &slots[number] }
  }

  /// Enters a slot and gives its number.
  mutating func insert(_ slot: Slot, at place: Place) -> Int {
    let number: Int
    if let free = freeNumbers.popLast() {
      number = free
      slots[number] = slot
    } else {
      number = slots.count
      slots.append(slot)
    }
    link(number, at: place)
    return number
  }

  /// Puts a slot somewhere else in the queues.
  mutating func move(_ number: Int, to place: Place) {
    unlink(number)
    link(number, at: place)
  }

  /// Takes a slot out of its queue; it keeps its number until that is freed.
  mutating func unlink(_ number: Int) {
    if slots[number].isAhead {
      Self.unlink(number, from: &ahead, &slots)
    } else {
      Self.unlink(number, from: &read, &slots)
    }
  }

  /// Gives the number of a slot that is in no queue to the next one that comes.
  mutating func free(_ number: Int) {
    freeNumbers.append(number)
  }

  /// Of what was read and can go, the least recently used.
  ///
  /// - Complexity: O(chunks that were used less recently).
  var firstEvictableRead: Int? {
    var number = read.oldest
    while number != Slot.none {
      if slots[number].isEvictable { return number }
      number = slots[number].newer
    }
    return nil
  }

  /// Of what is still to be read and can go, the farthest.
  ///
  /// - Complexity: O(chunks that are farther).
  var farthestEvictableAhead: Int? {
    var number = ahead.newest
    while number != Slot.none {
      if slots[number].isEvictable { return number }
      number = slots[number].older
    }
    return nil
  }

  // MARK: Links

  private mutating func link(_ number: Int, at place: Place) {
    slots[number].isAhead = place != .justRead
    switch place {
    case .justRead: Self.append(number, to: &read, &slots)
    case .farthest: Self.append(number, to: &ahead, &slots)
    case .nearest: Self.prepend(number, to: &ahead, &slots)
    }
  }

  private static func append(_ number: Int, to queue: inout Queue, _ slots: inout [Slot]) {
    slots[number].older = queue.newest
    slots[number].newer = Slot.none
    if queue.newest != Slot.none { slots[queue.newest].newer = number }
    queue.newest = number
    if queue.oldest == Slot.none { queue.oldest = number }
    queue.count += 1
  }

  private static func prepend(_ number: Int, to queue: inout Queue, _ slots: inout [Slot]) {
    slots[number].older = Slot.none
    slots[number].newer = queue.oldest
    if queue.oldest != Slot.none { slots[queue.oldest].older = number }
    queue.oldest = number
    if queue.newest == Slot.none { queue.newest = number }
    queue.count += 1
  }

  private static func unlink(_ number: Int, from queue: inout Queue, _ slots: inout [Slot]) {
    let older = slots[number].older
    let newer = slots[number].newer
    if older != Slot.none { slots[older].newer = newer } else { queue.oldest = newer }
    if newer != Slot.none { slots[newer].older = older } else { queue.newest = older }
    queue.count -= 1
  }
}
