import Glibc
import Instruments
import Testing
import WDSFS

/// The documents and the dashboard name what the mount tells, and nothing else.
@Suite("Names of metrics")
struct MountMetricTests {
  private static func file(_ path: String) -> String {
    let package = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    guard let file = fopen(package + "/" + path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A metric's row in docs/metrics.md.
  private static func row(_ metric: MountMetric) -> String {
    let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
    return
      "| `\(metric.name)` | \(metric.kind.rawValue) | \(metric.unit) | \(labels) | \(metric.help) |"
  }

  @Test("docs/metrics.md has a row for each metric, as the program describes it, and no other")
  func documents() {
    let rows = Self.file("docs/metrics.md").split(separator: "\n").filter { $0.hasPrefix("| `") }
    #expect(rows.map(String.init) == MountMetric.allCases.map(Self.row))
  }

  @Test(
    "names end as Prometheus wants them: counters in _total, with base units",
    arguments: MountMetric.allCases
  )
  func naming(_ metric: MountMetric) {
    #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"))
    if metric.unit == "seconds" { #expect(metric.name.contains("_seconds")) }
    if metric.unit == "bytes" { #expect(metric.name.contains("_bytes")) }
    #expect(metric.help.hasSuffix("."))
  }
}
