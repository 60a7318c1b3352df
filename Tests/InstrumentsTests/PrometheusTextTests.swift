import CoreMetrics
import Instruments
import Testing

@Suite("Prometheus text")
struct PrometheusTextTests {
  private func text(_ families: [MetricFamily]) -> String {
    String(decoding: PrometheusText.render(families), as: UTF8.self)
  }

  @Test("a family has its help and type once, and a line for each series")
  func family() {
    let family = MetricFamily(
      name: "wdsfs_retries_total",
      kind: .counter,
      help: "Requests sent again.",
      series: [
        MetricFamily.Series(.count(3), labels: [MetricFamily.Label("cause", "reset")]),
        MetricFamily.Series(.count(0), labels: [MetricFamily.Label("cause", "throttled")]),
      ]
    )
    #expect(
      text([family]) == """
        # HELP wdsfs_retries_total Requests sent again.
        # TYPE wdsfs_retries_total counter
        wdsfs_retries_total{cause="reset"} 3
        wdsfs_retries_total{cause="throttled"} 0

        """
    )
  }

  @Test("quotes, backslashes and line ends are escaped where they would end something")
  func escapes() {
    let family = MetricFamily(
      name: "x",
      kind: .gauge,
      help: "a\\b\nc \"d\"",
      series: [
        MetricFamily.Series(.number(.infinity), labels: [MetricFamily.Label("l", "a\\b\nc\"d")])
      ]
    )
    #expect(
      text([family]) == """
        # HELP x a\\\\b\\nc "d"
        # TYPE x gauge
        x{l="a\\\\b\\nc\\"d"} +Inf

        """
    )
  }

  @Test("a histogram's buckets add up, and its last is its count")
  func histogram() {
    let histogram = LatencyHistogram()
    histogram.observe(nanoseconds: 5_000)
    histogram.observe(nanoseconds: 2_000_000_000)
    let lines = text([
      MetricFamily(
        name: "t",
        kind: .histogram,
        help: "h",
        series: [MetricFamily.Series(.times(histogram.value))]
      )
    ]).split(separator: "\n")
    #expect(lines.contains("t_bucket{le=\"4e-06\"} 0"))
    #expect(lines.contains("t_bucket{le=\"8e-06\"} 1"))
    #expect(lines.contains("t_bucket{le=\"1.048576\"} 1"))
    #expect(lines.suffix(3) == ["t_bucket{le=\"+Inf\"} 2", "t_sum 2.000005", "t_count 2"])
  }

  @Test("what is said through swift-metrics is on the page, once per label and dimensions")
  func swiftMetrics() {
    let registry = MetricRegistry { $0 == "jobs_total" ? "Jobs done." : nil }
    for _ in 0..<2 {
      Counter(label: "jobs.total", dimensions: [("kind", "a")], factory: registry).increment(by: 2)
    }
    Gauge(label: "level", factory: registry).record(1.5)
    Timer(label: "took", factory: registry).recordNanoseconds(6_000)
    Recorder(label: "sizes", factory: registry).record(40)
    Recorder(label: "sizes", factory: registry).record(2)
    let lines = text(registry.families).split(separator: "\n")
    #expect(
      lines.prefix(3).map { $0 } == [
        "# HELP jobs_total Jobs done.", "# TYPE jobs_total counter", "jobs_total{kind=\"a\"} 4",
      ]
    )
    #expect(lines.contains("level 1.5"))
    #expect(lines.contains("# TYPE took histogram"))
    #expect(lines.contains("took_bucket{le=\"8e-06\"} 1"))
    #expect(lines.contains("sizes_sum 42.0"))
    #expect(lines.contains("sizes_count 2"))
  }

  @Test("a reset leaves a counter as it is, and a name's second kind is not shown")
  func oddUses() {
    let registry = MetricRegistry()
    let counter = Counter(label: "9 lives", factory: registry)
    counter.increment()
    counter.reset()
    Gauge(label: "9 lives", dimensions: [("l", "x")], factory: registry).record(7)
    #expect(text(registry.families).hasSuffix("# TYPE _9_lives counter\n_9_lives 1\n"))
  }
}
