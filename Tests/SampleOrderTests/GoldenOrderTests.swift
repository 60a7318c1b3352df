import SampleOrder
import Testing

/// Orders written out, so that no new version reshuffles a run half done.
///
/// A change here needs a new `Cursor.orderVersion`.
@Suite struct GoldenOrderTests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let counts: [Int]
    let parameters: @Sendable () throws -> OrderParameters
    let epoch: Int

    /// By rank: shard and sample number.
    let order: [String]

    var testDescription: String { "\(counts), epoch \(epoch)" }
  }

  static let goldens = [
    Golden(
      counts: [3, 0, 5, 4],
      parameters: { try OrderParameters(worldSize: 2) },
      epoch: 0,
      order: ["0.0 0.1 0.2 2.0 2.1 2.2 2.3 2.4", "3.0 3.1 3.2 3.3"]
    ),
    Golden(
      counts: [3, 0, 5, 4],
      parameters: {
        try OrderParameters(shuffle: .shards, seed: 7, worldSize: 2, partition: .samples)
      },
      epoch: 0,
      order: ["2.0 2.2 2.4 3.1 3.3 0.1", "2.1 2.3 3.0 3.2 0.0 0.2"]
    ),
    Golden(
      counts: [3, 0, 5, 4],
      parameters: {
        try OrderParameters(shuffle: .full, seed: 7, worldSize: 2, lanes: 2, shuffleWindow: 2)
      },
      epoch: 3,
      order: ["0.0 0.1 0.2", "3.3 2.3 2.4 3.0 3.2 2.2 2.0 3.1 2.1"]
    ),
    Golden(
      counts: [10, 3, 7],
      parameters: {
        try OrderParameters(
          shuffle: .full,
          seed: .max,
          worldSize: 3,
          lanes: 3,
          shuffleWindow: 2,
          partition: .samples
        )
      },
      epoch: 1,
      order: [
        "2.2 2.6 2.0 2.4 2.3 2.1 2.5", "0.2 1.2 0.1 0.3 1.0 1.1 0.0", "0.4 0.9 0.5 0.8 0.6 0.7",
      ]
    ),
  ]

  @Test("the order of version 1 is what it always was", arguments: goldens)
  func pinned(_ golden: Golden) throws {
    #expect(Cursor.orderVersion == 1)
    let parameters = try golden.parameters()
    let shape = try DatasetShape(sampleCounts: golden.counts)
    let order = try EpochOrder(parameters, epoch: golden.epoch, shape: shape)
    let ranks = try (0..<parameters.worldSize).map { rank in
      try EpochOrderTests.samples(of: order.rank(rank)).map { "\($0.shard).\($0.number)" }
        .joined(separator: " ")
    }
    #expect(ranks == golden.order)
  }

  @Test("a large order is what it always was, by a sum over its places")
  func pinnedLarge() throws {
    let shape = try DatasetShape(sampleCounts: (0..<2_000).map { 900 + $0 % 201 })
    var sums: [UInt64] = []
    for partition in OrderParameters.Partition.allCases {
      let parameters = try OrderParameters(
        shuffle: .full,
        seed: 42,
        worldSize: 8,
        shuffleWindow: 3,
        partition: partition
      )
      let view = try EpochOrder(parameters, epoch: 9, shape: shape).rank(5)
      var sum: UInt64 = 0
      for position in stride(from: 0, to: 240_000, by: 97) {
        guard case .sample(let shard, let number) = view.place(at: position) else { continue }
        sum = sum &* 31 &+ UInt64(shard) &* 100_003 &+ UInt64(number)
      }
      sums.append(sum)
    }
    #expect(sums == [9_271_255_479_107_122_704, 3_604_717_088_416_373_079])
  }
}
