import Instruments
import Synchronization
import Testing

@Suite("Counters and histograms")
struct AtomicCellsTests {
  /// Holds what threads share.
  private final class Shared: Sendable {
    let cells = AtomicCells(count: 3)
    let histogram = LatencyHistogram()
  }

  @Test("what many threads add at once is all there, each in its own cell")
  func addsOfManyThreads() async {
    let shared = Shared()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for number in 0..<10_000 {
            shared.cells.add(1, to: number % 3)
            shared.histogram.observe(nanoseconds: number * 1000)
          }
        }
      }
    }
    #expect((0..<3).map { shared.cells.sum($0) } == [26_672, 26_664, 26_664])
    #expect(shared.histogram.value.count == 80_000)
    #expect(shared.histogram.value.nanoseconds == 8 * 1000 * (9_999 * 10_000 / 2))
  }

  @Test("a counter that overflows begins anew and does not trap")
  func wraps() {
    let cells = AtomicCells(count: 1)
    cells.add(Int.max, to: 0)
    cells.add(2, to: 0)
    #expect(cells.sum(0) == Int.min + 1)
  }

  @Test(
    "a time falls into the first bucket whose bound is not below it",
    arguments: [
      (0, 4e-6), (4_000, 4e-6), (4_001, 8e-6), (8_000, 8e-6), (8_001, 16e-6),
      (1_000_000, 0.001024), (1_024_001, 0.002048), (67_108_864_000, 67.108864),
      (67_108_864_001, Double.infinity), (Int.max, Double.infinity), (-5, 4e-6),
    ]
  )
  func buckets(nanoseconds: Int, bound: Double) {
    let histogram = LatencyHistogram()
    histogram.observe(nanoseconds: nanoseconds)
    let bucket = histogram.value.counts.firstIndex(of: 1)
    #expect(bucket.map { HistogramValue.upperBound(ofBucket: $0) } == bound)
  }

  @Test("quantiles lie between the bounds of the bucket that holds them")
  func quantiles() {
    let histogram = LatencyHistogram()
    #expect(histogram.value.quantile(0.5) == nil)
    for _ in 0..<90 { histogram.observe(nanoseconds: 6_000) }
    for _ in 0..<10 { histogram.observe(nanoseconds: 3_000_000) }
    let value = histogram.value
    #expect(value.quantile(0.5) == 4e-6 + 4e-6 * 50 / 90)
    #expect(value.quantile(0.99).map { (0.002048...0.004096).contains($0) } == true)
    histogram.observe(nanoseconds: Int.max)
    #expect(histogram.value.quantile(1) == 67.108864)
  }
}
