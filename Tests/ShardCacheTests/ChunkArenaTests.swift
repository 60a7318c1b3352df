import Testing

@testable import ShardCache

@Suite("the memory of chunks")
struct ChunkArenaTests {
  private let workers = WorkerPool(name: "test", threadCount: 1)

  @Test("each block is its own, and zero at first")
  func blocksAreDistinct() throws {
    defer { workers.close() }
    let arena = ChunkArena(maxBlockCount: 200, workers: workers)
    // More than one slab, so that blocks of several are seen.
    for number in 0..<200 {
      let block = try #require(arena.take())
      let words = UnsafeMutableRawBufferPointer(start: block.memory, count: ChunkID.sizeBytes)
        .bindMemory(to: Int.self)
      // Had another block these words, its number would stand here.
      #expect(words[0] == 0)
      #expect(words[words.count - 1] == 0)
      words[0] = number + 1
      words[words.count - 1] = number + 1
    }
  }

  @Test("a block that comes back is the next to go out")
  func returnedBlocksAreUsedAgain() throws {
    defer { workers.close() }
    let arena = ChunkArena(maxBlockCount: 1, workers: workers)
    let block = try #require(arena.take())
    arena.giveBack(block)
    #expect(arena.take()?.memory == block.memory)
  }

  @Test("no more is touched ahead than the arena may hold")
  func touchingIsBounded() throws {
    defer { workers.close() }
    let arena = ChunkArena(maxBlockCount: 4, workers: workers)
    for taken in 1...4 {
      _ = try #require(arena.take())
      // The only worker comes to this after what it was asked to touch.
      let isDone = Semaphore()
      workers.run(isUrgent: false) { isDone.post() }
      isDone.wait()
      #expect(arena.blockCount == min(4, 2 * taken))
    }
  }
}
