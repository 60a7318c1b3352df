import TestSupport
import Testing

@testable import ShardCache

@Suite struct ChunkSlotsTests {
  private func slot(_ number: Int32) -> ChunkSlots.Slot {
    let chunk = ChunkID(shard: 0, plane: .stored, number: number)
    return ChunkSlots.Slot(chunk: chunk, lengthBytes: 1, ticket: 0)
  }

  /// A slot of which all has come, been written and been read.
  private func evictable(_ number: Int32) -> ChunkSlots.Slot {
    var slot = slot(number)
    slot.filledBytes = slot.lengthBytes
    slot.isClean = true
    return slot
  }

  /// A queue's slots from the oldest on; nil where its links, its ends or its count disagree.
  private func order(_ queue: ChunkSlots.Queue, _ slots: ChunkSlots) -> [Int]? {
    var numbers: [Int] = []
    var older = ChunkSlots.Slot.none
    var number = queue.oldest
    while number != ChunkSlots.Slot.none {
      guard slots[number].older == older, numbers.count < slots.numbers.count else { return nil }
      numbers.append(number)
      (older, number) = (number, slots[number].newer)
    }
    return older == queue.newest && numbers.count == queue.count ? numbers : nil
  }

  @Test("Each place is an end of its queue")
  func places() {
    var slots = ChunkSlots()
    let numbers = [
      slots.insert(slot(0), at: .farthest), slots.insert(slot(1), at: .nearest),
      slots.insert(slot(2), at: .justRead), slots.insert(slot(3), at: .farthest),
      slots.insert(slot(4), at: .justRead), slots.insert(slot(5), at: .nearest),
    ]
    #expect(order(slots.ahead, slots) == [numbers[5], numbers[1], numbers[0], numbers[3]])
    #expect(order(slots.read, slots) == [numbers[2], numbers[4]])
    #expect(numbers.map { slots[$0].chunk.number } == [0, 1, 2, 3, 4, 5])
    #expect(numbers.map { slots[$0].isAhead } == [true, true, false, true, false, true])
  }

  @Test("The least recently read and the farthest go first, past what cannot go")
  func whatGoesFirst() {
    var slots = ChunkSlots()
    #expect(slots.firstEvictableRead == nil && slots.farthestEvictableAhead == nil)
    let read = [
      slots.insert(slot(0), at: .justRead), slots.insert(evictable(1), at: .justRead),
      slots.insert(evictable(2), at: .justRead),
    ]
    let ahead = [
      slots.insert(evictable(3), at: .farthest), slots.insert(evictable(4), at: .farthest),
      slots.insert(slot(5), at: .farthest),
    ]
    #expect(slots.firstEvictableRead == read[1])
    #expect(slots.farthestEvictableAhead == ahead[1])
    slots[read[1]].leaseCount = 1
    slots[ahead[1]].waiting = [ChunkSlots.Waiting(filledBytes: 1, waiter: TestWaiter(1))]
    #expect(slots.firstEvictableRead == read[2])
    #expect(slots.farthestEvictableAhead == ahead[0])
    slots.move(read[2], to: .nearest)
    #expect(slots.firstEvictableRead == nil)
    slots.move(ahead[0], to: .justRead)
    #expect(slots.firstEvictableRead == ahead[0])
    #expect(slots.farthestEvictableAhead == read[2])
  }

  @Test("A number that was freed goes to the next chunk, and no chunk has another's")
  func numbers() {
    var slots = ChunkSlots()
    let first = slots.insert(slot(0), at: .justRead)
    let second = slots.insert(slot(1), at: .justRead)
    slots.unlink(first)
    let third = slots.insert(slot(2), at: .farthest)
    #expect(Set([first, second, third]).count == 3)
    slots.free(first)
    #expect(slots.insert(slot(3), at: .nearest) == first)
    #expect(slots.numbers.count == 3)
    #expect(order(slots.ahead, slots) == [first, third])
    #expect(order(slots.read, slots) == [second])
  }

  @Test(
    "Over random changes both queues keep their order and their count",
    arguments: 1...5 as ClosedRange<UInt64>
  )
  func keepsOrder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var slots = ChunkSlots()
    var read: [Int] = []
    var ahead: [Int] = []
    for step in 0..<2_000 {
      let known = read + ahead
      let place = [ChunkSlots.Place.justRead, .nearest, .farthest][generator.below(3)]
      let choice = known.count < 2 ? 0 : generator.below(known.count > 30 ? 4 : 8)
      let number: Int
      if choice == 0 || choice > 5 {
        number = slots.insert(slot(Int32(step)), at: place)
        #expect(!known.contains(number), "seed \(seed), step \(step)")
      } else {
        number = known[generator.below(known.count)]
        read.removeAll { $0 == number }
        ahead.removeAll { $0 == number }
        if choice > 2 {
          slots.move(number, to: place)
        } else {
          slots.unlink(number)
          slots.free(number)
        }
      }
      if choice == 0 || choice > 2 {
        switch place {
        case .justRead: read.append(number)
        case .nearest: ahead.insert(number, at: 0)
        case .farthest: ahead.append(number)
        }
      }
      #expect(order(slots.read, slots) == read, "seed \(seed), step \(step)")
      #expect(order(slots.ahead, slots) == ahead, "seed \(seed), step \(step)")
      guard order(slots.read, slots) == read else { return }
    }
  }
}
