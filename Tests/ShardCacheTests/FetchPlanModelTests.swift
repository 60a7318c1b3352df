import TestSupport
import Testing

@testable import ShardCache

/// What `FetchPlan` must do, said as plainly as can be: lists, looked through from end to end.
private struct NaivePlan {
  struct Entry {
    var chunk: ChunkID
    var slot: Int
    var ticket: Int
    var filled = 0
    var isClean = false
    var leases = 0
    var waiting: [(bytes: Int, name: Int)] = []

    var isSettled: Bool { filled == ChunkID.sizeBytes && isClean }
    var isEvictable: Bool { isSettled && leases == 0 && waiting.isEmpty }
  }

  let max: Int

  /// Oldest first.
  var read: [Entry] = []
  var ahead: [Entry] = []
  var orphans: [Entry] = []

  var all: [Entry] { read + ahead }
  var unsettled: Int { all.count { !$0.isSettled } }

  func entry(_ chunk: ChunkID) -> Entry? { all.first { $0.chunk == chunk } }

  mutating func change(_ chunk: ChunkID, _ body: (inout Entry) -> Void) {
    if let place = read.firstIndex(where: { $0.chunk == chunk }) { body(&read[place]) }
    if let place = ahead.firstIndex(where: { $0.chunk == chunk }) { body(&ahead[place]) }
  }

  mutating func use(_ chunk: ChunkID) {
    guard let entry = entry(chunk) else { return }
    remove(chunk)
    read.append(entry)
  }

  mutating func remove(_ chunk: ChunkID) {
    read.removeAll { $0.chunk == chunk }
    ahead.removeAll { $0.chunk == chunk }
  }

  mutating func evictOne(sparingAhead: Bool) -> Bool {
    if let place = read.firstIndex(where: \.isEvictable) {
      read.remove(at: place)
      return true
    }
    guard !sparingAhead, let place = ahead.lastIndex(where: \.isEvictable) else { return false }
    ahead.remove(at: place)
    return true
  }

  mutating func expect(_ chunk: ChunkID) {
    guard let entry = entry(chunk) else { return }
    remove(chunk)
    ahead.insert(entry, at: 0)
  }

  mutating func begin(
    _ chunks: [ChunkID],
    _ need: FetchPlan.Need,
    sparingAhead: Bool,
    ticket: Int
  ) -> Bool {
    let limit = need == .ahead ? max - max / 4 : max
    guard unsettled + chunks.count <= limit else { return false }
    let ofShard = all.count { $0.chunk.shard == chunks[0].shard && !$0.isSettled }
    guard ofShard < 4 * (max - unsettled) else { return false }
    while all.count + orphans.count + chunks.count > max {
      guard evictOne(sparingAhead: sparingAhead) else { return false }
    }
    for chunk in chunks {
      let entry = Entry(chunk: chunk, slot: -1, ticket: ticket)
      switch need {
      case .read, .sample: ahead.insert(entry, at: 0)
      case .scan: read.append(entry)
      case .ahead: ahead.append(entry)
      }
    }
    return true
  }

  mutating func filled(_ chunk: ChunkID, to bytes: Int) -> [Int] {
    var served: [Int] = []
    change(chunk) { entry in
      entry.filled = bytes
      served = entry.waiting.filter { $0.bytes <= bytes }.map(\.name)
      entry.waiting.removeAll { $0.bytes <= bytes }
    }
    return served
  }

  mutating func abandon(_ chunks: [ChunkID], ticket: Int) -> [Int] {
    var waiters: [Int] = []
    for chunk in chunks {
      guard let entry = entry(chunk), entry.ticket == ticket, entry.filled < ChunkID.sizeBytes
      else { continue }
      waiters += entry.waiting.map(\.name)
      remove(chunk)
      if entry.leases > 0 { orphans.append(entry) }
    }
    return waiters
  }
}

@Suite struct FetchPlanModelTests {
  @Test(
    "Over 40,000 random steps it does what a naive plan does, and loses no slot",
    arguments: [1, 2, 3, 4] as [UInt64]
  )
  func agreesWithNaivePlan(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let max = [3, 8, 17, 40][Int(seed) - 1]
    var plan = FetchPlan(maxSlotCount: max)
    var naive = NaivePlan(max: max)
    var nextBlock = 1
    var leases: [(slot: Int, chunk: ChunkID)] = []
    for step in 0..<10_000 {
      let shard = Int32(generator.below(2))
      let number = Int32(generator.below(max * 2))
      let chunk = ChunkID(shard: shard, plane: .stored, number: number)
      let ticket = generator.below(4)
      switch generator.below(9) {
      case 0, 1:
        let wanted = number..<number + 1 + Int32(generator.below(3))
        guard
          let run = plan.firstMissing(in: wanted, ofShard: shard, plane: .stored, maxLength: 2)
        else {
          let isThere = wanted.allSatisfy { number in
            naive.entry(ChunkID(shard: shard, plane: .stored, number: number)) != nil
          }
          #expect(isThere, "seed \(seed), step \(step)")
          continue
        }
        let chunks = run.map { ChunkID(shard: shard, plane: .stored, number: $0) }
        let need = [FetchPlan.Need.read, .scan, .ahead, .ahead][generator.below(4)]
        let isSparing = need == .ahead && generator.below(2) == 0
        let isBegun = plan.begin(
          run,
          ofShard: shard,
          plane: .stored,
          planeBytes: 1 << 40,
          for: need,
          sparingAhead: isSparing,
          ticket: ticket
        )
        let expected = naive.begin(
          chunks,
          need,
          sparingAhead: isSparing,
          ticket: ticket
        )
        #expect(isBegun == expected, "seed \(seed), step \(step)")
        guard isBegun else { break }
        for chunk in chunks {
          let slot = try #require(plan.slot(of: chunk))
          naive.change(chunk) { $0.slot = slot }
          guard plan.memory(ofSlot: slot) == nil else { continue }
          let block = try #require(UnsafeMutableRawPointer(bitPattern: nextBlock << 20))
          plan.assign(block, to: slot)
          nextBlock += 1
        }
      case 2, 3:
        guard let entry = naive.entry(chunk), entry.filled < ChunkID.sizeBytes else { break }
        let isWhole = generator.below(2) == 0
        let rest = ChunkID.sizeBytes - entry.filled
        let bytes = isWhole ? ChunkID.sizeBytes : entry.filled + generator.below(rest)
        let told = plan.filled(entry.slot, to: bytes).compactMap { ($0 as? TestWaiter)?.name }
        #expect(told == naive.filled(chunk, to: bytes), "seed \(seed), step \(step)")
        if isWhole && generator.below(4) > 0 {
          plan.markClean(entry.slot)
          naive.change(chunk) { $0.isClean = true }
        }
      case 4:
        guard let entry = naive.entry(chunk), entry.filled == ChunkID.sizeBytes else { break }
        plan.markClean(entry.slot)
        naive.change(chunk) { $0.isClean = true }
      case 5:
        guard leases.count < 6, let entry = naive.entry(chunk), entry.filled > 0 else { break }
        _ = plan.lease(entry.slot)
        naive.use(chunk)
        naive.change(chunk) { $0.leases += 1 }
        leases.append((entry.slot, chunk))
      case 6:
        guard !leases.isEmpty else { break }
        let lease = leases.remove(at: generator.below(leases.count))
        plan.release(lease.slot)
        if let place = naive.orphans.firstIndex(where: { $0.slot == lease.slot }) {
          naive.orphans[place].leases -= 1
          if naive.orphans[place].leases == 0 { naive.orphans.remove(at: place) }
        } else {
          naive.change(lease.chunk) { $0.leases -= 1 }
        }
      case 7:
        guard let entry = naive.entry(chunk), entry.filled < ChunkID.sizeBytes else { break }
        let bytes = entry.filled + 1 + generator.below(ChunkID.sizeBytes - entry.filled)
        plan.wait(for: entry.slot, filledTo: bytes, TestWaiter(step))
        naive.change(chunk) { $0.waiting.append((bytes, step)) }
        guard generator.below(2) == 0 else { break }
        plan.expect(entry.slot)
        naive.expect(chunk)
      default:
        let run = number..<number + 2
        let chunks = run.map { ChunkID(shard: shard, plane: .stored, number: $0) }
        let told = plan.abandon(run, ofShard: shard, plane: .stored, ticket: ticket)
          .compactMap { ($0 as? TestWaiter)?.name }
        #expect(told == naive.abandon(chunks, ticket: ticket), "seed \(seed), step \(step)")
      }
      let count = naive.all.count + naive.orphans.count
      let hasRoom = count < max || naive.all.contains(where: \.isEvictable)
      #expect(plan.slotCount == count, "seed \(seed), step \(step)")
      #expect(plan.unsettledCount == naive.unsettled, "seed \(seed), step \(step)")
      #expect(plan.hasRoom == hasRoom, "seed \(seed), step \(step)")
      #expect(plan.blockCount <= max && nextBlock - 1 <= max, "seed \(seed), step \(step)")
      #expect(naive.all.allSatisfy { plan.contains($0.chunk) }, "seed \(seed), step \(step)")
      guard plan.slotCount == count else { return }
    }
  }
}
