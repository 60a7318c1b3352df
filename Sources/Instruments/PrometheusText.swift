/// Metrics in Prometheus's text format, version 0.0.4.
package enum PrometheusText {
  /// What an HTTP reply says of itself.
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// One family after the other, each below its help and type; families without series are left out.
  package static func render(_ families: [MetricFamily]) -> [UInt8] {
    var text = ""
    for family in families where !family.series.isEmpty {
      text += "# HELP \(family.name) \(escaped(family.help))\n"
      text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
      for series in family.series { add(series, of: family.name, to: &text) }
    }
    return Array(text.utf8)
  }

  private static func add(
    _ series: MetricFamily.Series,
    of name: String,
    to text: inout String
  ) {
    let labels = series.labels
    func line(_ suffix: String, _ labels: [MetricFamily.Label], _ value: String) {
      text += "\(name)\(suffix)\(block(labels)) \(value)\n"
    }
    switch series.value {
    case .count(let count): line("", labels, "\(count)")
    case .number(let number): line("", labels, Self.text(of: number))
    case .sum(let count, let sum):
      line("_sum", labels, Self.text(of: sum))
      line("_count", labels, "\(count)")
    case .times(let times):
      var below = 0
      for (bucket, count) in times.counts.enumerated() {
        below &+= count
        let bound = Self.text(of: HistogramValue.upperBound(ofBucket: bucket))
        line("_bucket", labels + [MetricFamily.Label("le", bound)], "\(below)")
      }
      line("_sum", labels, Self.text(of: times.seconds))
      // The same number as the last bucket's, also while others count on.
      line("_count", labels, "\(below)")
    }
  }

  private static func block(_ labels: [MetricFamily.Label]) -> String {
    guard !labels.isEmpty else { return "" }
    let pairs = labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
    return "{" + pairs.joined(separator: ",") + "}"
  }

  private static func text(of number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
    return "\(number)"
  }

  /// Help wants backslashes and line ends escaped, a label's value quotes as well.
  private static func escaped(_ text: String, quotes: Bool = false) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
