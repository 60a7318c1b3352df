import DequeModule
import Glibc
import Synchronization

/// The memory that chunks lie in, in blocks of one chunk each, straight from the kernel.
///
/// A fresh page costs a fault, which takes longer than to copy what goes into the page. So blocks are
/// touched on another thread before they are asked for, once it shows that many will be; and
/// `FetchPlan` uses its own again and again. (Huge pages fault less often, but where the host takes
/// back what a virtual machine has free each costs milliseconds.)
final class ChunkArena: Sendable {
  /// Memory of one chunk, which whoever took it owns.
  ///
  /// Proof of `@unchecked Sendable`: it has one owner at a time.
  struct Block: @unchecked Sendable {
    let memory: UnsafeMutableRawPointer
  }

  /// A piece of address space, of which only blocks that were touched take memory.
  private struct Slab {
    let start: UnsafeMutableRawPointer
    var usedCount = 0
  }

  private struct State {
    var slabs: [Slab] = []
    var spare: Deque<Block> = []

    /// Blocks that were cut from slabs, spare ones included.
    var cutCount = 0
    var takenCount = 0
    var isTouching = false
  }

  private static let slabBlocks = 64

  /// So many blocks lie touched ahead at most: a fast network fills them in some 10 ms.
  static let maxSpareCount = 16

  private let maxBlockCount: Int
  private let workers: WorkerPool
  private let state = Mutex(State())

  /// Makes an arena that takes no memory yet.
  ///
  /// - Parameters:
  ///   - maxBlockCount: No more are touched ahead of need.
  ///   - workers: Touch them.
  init(maxBlockCount: Int, workers: WorkerPool) {
    self.maxBlockCount = maxBlockCount
    self.workers = workers
  }

  deinit {
    state.withLock { state in
      for slab in state.slabs { munmap(slab.start, Self.slabBlocks * ChunkID.sizeBytes) }
    }
  }

  /// Blocks that take memory, in use or touched ahead.
  var blockCount: Int { state.withLock(\.cutCount) }

  /// Hands out a block; nil where the kernel has no memory.
  func take() -> Block? {
    let (block, isShort) = state.withLock { state -> (Block?, Bool) in
      let block = state.spare.popFirst() ?? Self.cut(&state)
      if block != nil { state.takenCount += 1 }
      let isShort = !state.isTouching && wantsMore(state)
      if isShort { state.isTouching = true }
      return (block, isShort)
    }
    if isShort { workers.run(isUrgent: true) { [self] in touchAhead() } }
    return block
  }

  /// Takes a block back that was not used after all.
  func giveBack(_ block: Block) {
    state.withLock { state in
      state.spare.prepend(block)
      state.takenCount -= 1
    }
  }

  /// Whether as many will be asked for as were so far.
  private func wantsMore(_ state: State) -> Bool {
    state.spare.count < min(Self.maxSpareCount, state.takenCount)
      && state.cutCount < maxBlockCount
  }

  private func touchAhead() {
    while true {
      let block = state.withLock { state -> Block? in
        guard wantsMore(state), let block = Self.cut(&state) else {
          state.isTouching = false
          return nil
        }
        state.spare.append(block)
        return block
      }
      guard let block else { return }
      // Changes no byte, so whoever takes the block meanwhile may fill it. Linux 5.14 and later;
      // before it the pages are touched as they are filled.
      madvise(block.memory, ChunkID.sizeBytes, Self.populateForWriting)
    }
  }

  /// `MADV_POPULATE_WRITE` of linux/mman.h, which glibc 2.36 does not name.
  private static let populateForWriting: Int32 = 23

  private static func cut(_ state: inout State) -> Block? {
    if state.slabs.last.map({ $0.usedCount == slabBlocks }) ?? true {
      guard let slab = makeSlab() else { return nil }
      state.slabs.append(slab)
    }
    let last = state.slabs.count - 1
    let offset = state.slabs[last].usedCount * ChunkID.sizeBytes
    state.slabs[last].usedCount += 1
    state.cutCount += 1
    return Block(memory: state.slabs[last].start + offset)
  }

  /// How often the kernel is asked, a millisecond apart: it may be out of memory for a moment.
  private static let maxAttempts = 3

  private static func makeSlab() -> Slab? {
    let protection = PROT_READ | PROT_WRITE
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    for attempt in 1...maxAttempts {
      let mapped = mmap(nil, slabBlocks * ChunkID.sizeBytes, protection, flags, -1, 0)
      if let mapped, mapped != MAP_FAILED { return Slab(start: mapped) }
      guard attempt < maxAttempts else { break }
      var pause = timespec(tv_sec: 0, tv_nsec: 1_000_000)
      nanosleep(&pause, nil)
    }
    return nil
  }
}
