import SampleOrder
import Testing

@Suite struct MixingTests {
  /// The order in which one lane gives a single shard's samples.
  private func window(_ count: Int, seed: UInt64, epoch: Int = 0) throws -> [Int] {
    let parameters = try OrderParameters(shuffle: .full, seed: seed, lanes: 1)
    let shape = try DatasetShape(sampleCounts: [count])
    let order = try EpochOrder(parameters, epoch: epoch, shape: shape)
    return try EpochOrderTests.samples(of: order.rank(0)).map(\.number)
  }

  /// Pearson's statistic, which is about its number of bins when all are equally likely.
  private func chiSquare(_ observed: [Int]) -> Double {
    let expected = Double(observed.reduce(0, +)) / Double(observed.count)
    return observed.reduce(0.0) {
      $0 + (Double($1) - expected) * (Double($1) - expected) / expected
    }
  }

  /// So far the statistic of so many bins strays once in about ten thousand times.
  private func limit(_ bins: Int) -> Double {
    let freedom = Double(bins - 1)
    return freedom + 4 * (2 * freedom).squareRoot() + 10
  }

  @Test("small windows: each of all permutations is as likely as the others")
  func smallWindows() throws {
    for (count, permutations) in [(2, 2), (3, 6), (4, 24), (5, 120)] {
      var seen: [[Int]: Int] = [:]
      for seed in 0..<6_000 as Range<UInt64> {
        seen[try window(count, seed: seed), default: 0] += 1
      }
      #expect(seen.count == permutations)
      #expect(chiSquare(Array(seen.values)) < limit(permutations), "\(count)")
    }
  }

  @Test("windows: each sample is equally likely at each place, and so is each neighbour")
  func largerWindows() throws {
    for count in [10, 64, 65, 100] {
      var places = [Int](repeating: 0, count: count * count)
      var steps = [Int](repeating: 0, count: count)
      for epoch in 0..<600 {
        let samples = try window(count, seed: 7, epoch: epoch)
        for (place, sample) in samples.enumerated() {
          places[place * count + sample] += 1
        }
        for (sample, next) in zip(samples, samples.dropFirst()) {
          steps[(next - sample + count) % count] += 1
        }
      }
      #expect(chiSquare(places) < limit(count * count), "\(count)")
      #expect(steps[0] == 0)
      #expect(chiSquare(Array(steps.dropFirst())) < limit(count - 1), "\(count)")
    }
  }

  @Test("a large window strays from its natural order as far as a perfect shuffle does")
  func strays() throws {
    let count = 100_000
    let samples = try window(count, seed: 1)
    let distance = zip(samples, samples.indices).reduce(0) { $0 + abs($1.0 - $1.1) }
    let mean = Double(distance) / Double(count) / Double(count)
    #expect(abs(mean - 1.0 / 3) < 0.005, "\(mean)")
    let ascents = zip(samples, samples.dropFirst()).count { $0 < $1 }
    #expect(abs(Double(ascents) / Double(count) - 0.5) < 0.005)
  }

  @Test("the shard list: each shard is equally likely at each place")
  func shardList() throws {
    let count = 20
    let shape = try DatasetShape(sampleCounts: [Int](repeating: 1, count: count))
    var places = [Int](repeating: 0, count: count * count)
    for epoch in 0..<4_000 {
      let parameters = try OrderParameters(shuffle: .shards, lanes: 1)
      let order = try EpochOrder(parameters, epoch: epoch, shape: shape)
      for (place, sample) in try EpochOrderTests.samples(of: order.rank(0)).enumerated() {
        places[place * count + sample.shard] += 1
      }
    }
    #expect(chiSquare(places) < limit(count * count))
  }
}
