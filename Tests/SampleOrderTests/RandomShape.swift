import SampleOrder

/// A dataset and the options of an order, drawn at random.
struct RandomShape: CustomStringConvertible {
  var counts: [Int]
  var parameters: OrderParameters
  var epoch: Int

  init(using generator: inout TestGenerator, maxSamples: Int = 3_000) throws {
    let shards = [0, 1, 2, 7, 40, 400].randomElement(using: &generator) ?? 1
    let shardCount = Int.random(in: 0...shards, using: &generator)
    let most = min([0, 1, 3, 20, 5_000].randomElement(using: &generator) ?? 1, maxSamples)
    let mean = max(1, min(most, maxSamples / max(1, shardCount)))
    counts = (0..<shardCount).map { _ in
      if generator.once(in: 6) { return 0 }
      if generator.once(in: 6) { return most }
      return Int.random(in: 0...min(most, 2 * mean), using: &generator)
    }
    epoch = Int.random(in: 0...3, using: &generator)
    parameters = try Self.parameters(using: &generator)
  }

  static func parameters(using generator: inout TestGenerator) throws -> OrderParameters {
    let worldSize = [1, 2, 3, 4, 6, 8, 13, 64].randomElement(using: &generator) ?? 1
    let lanes: [Int?] = [nil, nil, 1, 24, worldSize * 3, 200]
    return try OrderParameters(
      shuffle: OrderParameters.Shuffle.allCases.randomElement(using: &generator) ?? .none,
      seed: UInt64.random(in: .min ... .max, using: &generator),
      worldSize: worldSize,
      lanes: lanes.randomElement(using: &generator) ?? nil,
      shuffleWindow: [1, 1, 2, 3, 50].randomElement(using: &generator) ?? 1,
      partition: OrderParameters.Partition.allCases.randomElement(using: &generator) ?? .shards
    )
  }

  func with(_ equalize: OrderParameters.Equalize?) throws -> OrderParameters {
    try OrderParameters(
      shuffle: parameters.shuffle,
      seed: parameters.seed,
      worldSize: parameters.worldSize,
      lanes: parameters.lanes,
      shuffleWindow: parameters.shuffleWindow,
      partition: parameters.partition,
      equalize: equalize
    )
  }

  var shape: DatasetShape {
    get throws { try DatasetShape(sampleCounts: counts) }
  }

  var description: String { "\(counts.count) shards \(counts), \(parameters), epoch \(epoch)" }
}
