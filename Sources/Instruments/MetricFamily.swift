/// A metric with all its series, as it is at one moment.
package struct MetricFamily: Sendable {
  package enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
    case summary
  }

  package let name: String
  package let kind: Kind
  package let help: String
  package var series: [Series]

  package struct Series: Sendable {
    package let labels: [Label]
    package let value: Value

    package init(_ value: Value, labels: [Label] = []) {
      self.value = value
      self.labels = labels
    }
  }

  package struct Label: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  package enum Value: Sendable {
    case count(Int)
    case number(Double)
    case times(HistogramValue)

    /// How many, and what they come to.
    case sum(count: Int, of: Double)
  }

  package init(name: String, kind: Kind, help: String, series: [Series]) {
    self.name = name
    self.kind = kind
    self.help = help
    self.series = series
  }
}
