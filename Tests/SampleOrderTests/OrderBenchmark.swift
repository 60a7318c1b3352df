import FoundationEssentials
import SampleOrder
import Testing

/// Time and memory at full size, printed.
///
/// The figures of `docs/order.md` come from an optimised build; a debug build is ten times slower.
@Suite(.enabled(if: Effort.isLong)) struct OrderBenchmark {
  @Test("200,000 shards, 2 billion samples: the order is ready in 1 s and 100 MiB")
  func fullSize() throws {
    let shape = try DatasetShape(sampleCounts: (0..<200_000).map { 9_000 + $0 % 2_001 })
    let clock = ContinuousClock()
    for partition in OrderParameters.Partition.allCases {
      for shuffle in OrderParameters.Shuffle.allCases {
        let parameters = try OrderParameters(
          shuffle: shuffle,
          seed: 1,
          worldSize: 8,
          partition: partition
        )
        let before = try residentBytes()
        let start = clock.now
        let order = try EpochOrder(parameters, epoch: 3, shape: shape)
        let view = order.rank(5)
        let ready = clock.now - start
        let memory = try residentBytes() - before
        let length = try #require(view.length)
        var generator = TestGenerator(seed: 1)
        let positions = (0..<200_000).map { _ in Int.random(in: 0..<length, using: &generator) }
        var found = 0
        let took = clock.measure {
          for position in positions {
            if case .sample = view.place(at: position) { found += 1 }
          }
        }
        #expect(found == positions.count)
        #expect(ready < .seconds(1))
        #expect(memory < 100 << 20)
        print(
          "\(partition) \(shuffle): ready \(ready), \(memory >> 10) KiB,"
            + " random place \(took / positions.count)"
        )
      }
    }
  }

  private func residentBytes() throws -> Int {
    let text = try String(contentsOf: URL(filePath: "/proc/self/statm"), encoding: .utf8)
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    return try #require(pages) * 4_096
  }
}
