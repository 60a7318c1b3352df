import Testing

@testable import ShardCache

@Suite struct ReadAheadTests {
  private func span(_ shard: Int32, _ chunks: Range<Int32>) -> ReadAhead.Span {
    ReadAhead.Span(shard: shard, plane: .stored, planeBytes: 1 << 40, chunks: chunks)
  }

  /// Takes runs of two until nothing is left.
  private func drain(_ readAhead: inout ReadAhead, max: Int = 100) -> [String] {
    var taken: [String] = []
    while taken.count < max,
      let run = readAhead.next(missing: { span in
        let chunks = span.chunks
        guard !chunks.isEmpty else { return nil }
        return chunks.lowerBound..<min(chunks.upperBound, chunks.lowerBound + 2)
      })
    {
      taken.append("\(run.shard):\(run.chunks)")
      readAhead.take(run)
    }
    return taken
  }

  @Test("Streams are served in turn, each from its nearest chunk on")
  func turns() {
    var readAhead = ReadAhead()
    readAhead.replace([span(0, 0..<4), span(1, 0..<1)], of: 1)
    readAhead.replace([span(2, 5..<8)], of: 2)
    #expect(drain(&readAhead) == ["0:0..<2", "2:5..<7", "0:2..<4", "2:7..<8", "1:0..<1"])
    #expect(drain(&readAhead) == [])
  }

  @Test("A run that finds no room is the next again")
  func stays() {
    var readAhead = ReadAhead()
    readAhead.replace([span(0, 0..<4)], of: 1)
    let first = readAhead.next { $0.chunks }
    #expect(first?.chunks == 0..<4)
    #expect(readAhead.next { $0.chunks } == first)
    #expect(drain(&readAhead) == ["0:0..<2", "0:2..<4"])
  }

  @Test("What a stream wanted before it moved is forgotten")
  func replaced() {
    var readAhead = ReadAhead()
    readAhead.replace([span(0, 0..<4)], of: 1)
    #expect(drain(&readAhead, max: 1) == ["0:0..<2"])
    readAhead.replace([span(3, 0..<2)], of: 1)
    #expect(drain(&readAhead) == ["3:0..<2"])
    readAhead.replace([span(4, 0..<2)], of: 1)
    readAhead.replace([], of: 1)
    #expect(drain(&readAhead) == [])
  }

  @Test("What is there already is passed over")
  func passesOver() {
    var readAhead = ReadAhead()
    readAhead.replace([span(0, 0..<4), span(1, 0..<4)], of: 1)
    let run = readAhead.next { $0.shard == 0 ? nil : 2..<3 }
    #expect(run?.shard == 1)
    #expect(run?.chunks == 2..<3)
    // What was there is not asked for again when it has been read and is gone.
    #expect(drain(&readAhead) == ["1:2..<4"])
  }

  @Test("What lies in no window is stale, and that is worth asking once a move")
  func staleness() throws {
    var readAhead = ReadAhead()
    readAhead.replace([span(0, 0..<4)], of: 1)
    readAhead.replace([span(0, 8..<9), span(5, 0..<1)], of: 2)
    _ = drain(&readAhead)
    let staleness = readAhead.staleness()
    let isStale = try #require(staleness)
    let stale = (0..<10 as Range<Int32>).filter { number in
      isStale(ChunkID(shard: 0, plane: .stored, number: number))
    }
    #expect(stale == [4, 5, 6, 7, 9])
    #expect(isStale(ChunkID(shard: 0, plane: .inflated, number: 0)))
    #expect(!isStale(ChunkID(shard: 5, plane: .stored, number: 0)))
    let isNews = readAhead.staleness() != nil
    #expect(!isNews)
    readAhead.replace([], of: 1)
    let stalenessNow = readAhead.staleness()
    let isStaleNow = try #require(stalenessNow)
    #expect(isStaleNow(ChunkID(shard: 0, plane: .stored, number: 0)))
  }
}
