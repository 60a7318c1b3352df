import Benchmark

/// What one step of the read path costs on each floor, without a mount and without a network.
///
/// A benchmark that does its step a thousand times says so by `scalingFactor: .kilo`; the figures are
/// of one step.
let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock, .throughput, .peakMemoryResident],
    maxDuration: .seconds(3)
  )
  orderBenchmarks()
  tarBenchmarks()
  cacheBenchmarks()
  signatureBenchmarks()
}
