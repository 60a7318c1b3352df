import Benchmark
import SampleOrder

/// 200,000 shards of about 10,000 samples: 2 billion.
private func largeShape() throws(OrderError) -> DatasetShape {
  try DatasetShape(sampleCounts: (0..<200_000).map { 9_000 + $0 % 2_001 })
}

private func parameters(
  _ shuffle: OrderParameters.Shuffle,
  _ partition: OrderParameters.Partition
) throws(OrderError) -> OrderParameters {
  try OrderParameters(shuffle: shuffle, seed: 1, worldSize: 8, partition: partition)
}

func orderBenchmarks() {
  for partition in OrderParameters.Partition.allCases {
    for shuffle in OrderParameters.Shuffle.allCases {
      let name = "2 billion samples, shuffle \(shuffle), by \(partition)"
      Benchmark("order: ready, \(name)") { benchmark, shape in
        let parameters = try parameters(shuffle, partition)
        benchmark.startMeasurement()
        blackHole(try EpochOrder(parameters, epoch: 3, shape: shape).rank(5))
        benchmark.stopMeasurement()
      } setup: {
        try largeShape()
      }
      Benchmark(
        "order: position to sample, \(name)",
        configuration: .init(scalingFactor: .kilo)
      ) { benchmark, rank in
        let length = rank.length ?? 0
        // A stride that is prime to the length comes everywhere, far from where it was.
        var position = 0
        for _ in benchmark.scaledIterations {
          blackHole(rank.place(at: position))
          position = (position + 104_729_001) % length
        }
      } setup: {
        try EpochOrder(parameters(shuffle, partition), epoch: 3, shape: largeShape()).rank(5)
      }
    }
  }
}
