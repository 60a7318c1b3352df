package import CoreMetrics
import Synchronization

/// Takes in what code says through swift-metrics, and shows it beside our own counters.
///
/// One instrument per label and dimensions, however often it is asked for, and for good: a counter
/// that went away would look like one that began anew.
package final class MetricRegistry: MetricsFactory {
  private struct Name: Hashable {
    let name: String
    let labels: [MetricFamily.Label]

    var order: String {
      name + labels.map { "\u{0}\($0.name)\u{0}\($0.value)" }.joined()
    }
  }

  private let instruments = Mutex<[Name: any Instrument]>([:])
  private let help: @Sendable (String) -> String?

  /// More series than this are counted in one that no page shows: whoever names series after what
  /// comes from outside must not fill the memory.
  private static let maxInstruments = 4096

  /// - Parameter help: What a metric means, by its name; swift-metrics knows no such text.
  package init(help: @escaping @Sendable (String) -> String? = { _ in nil }) {
    self.help = help
  }

  /// All that was ever counted, by name.
  package var families: [MetricFamily] {
    let instruments = instruments.withLock { $0 }
    var families: [String: MetricFamily] = [:]
    for (name, instrument) in instruments.sorted(by: { $0.key.order < $1.key.order }) {
      // A name that was used for two kinds is shown as the first of them.
      if let family = families[name.name], family.kind != instrument.kind { continue }
      families[
        name.name,
        default: MetricFamily(
          name: name.name,
          kind: instrument.kind,
          help: help(name.name) ?? "Reported through swift-metrics.",
          series: []
        )
      ].series.append(MetricFamily.Series(instrument.value, labels: name.labels))
    }
    return families.values.sorted { $0.name < $1.name }
  }

  private func instrument<Kind: Instrument>(
    _ label: String,
    _ dimensions: [(String, String)],
    _ make: () -> Kind
  ) -> Kind {
    let name = Name(
      name: Self.printable(label),
      labels: dimensions.map { MetricFamily.Label(Self.printable($0.0), $0.1) }
    )
    let new = make()
    return instruments.withLock { instruments in
      if let known = instruments[name] as? Kind { return known }
      guard instruments[name] == nil, instruments.count < Self.maxInstruments else { return new }
      instruments[name] = new
      return new
    }
  }

  /// Prometheus knows letters, digits and `_`; a digit comes nowhere first.
  private static func printable(_ name: String) -> String {
    let text = String(
      name.unicodeScalars.map { scalar in
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": Character(scalar)
        default: "_"
        }
      }
    )
    guard let first = text.first else { return "_" }
    return first.isNumber ? "_" + text : text
  }

  // MARK: What swift-metrics asks for

  package func makeCounter(
    label: String,
    dimensions: [(String, String)]
  ) -> any CounterHandler {
    instrument(label, dimensions) { CountInstrument() }
  }

  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    instrument(label, dimensions) { LevelInstrument() }
  }

  package func makeRecorder(
    label: String,
    dimensions: [(String, String)],
    aggregate: Bool
  ) -> any RecorderHandler {
    if aggregate { return instrument(label, dimensions) { SumInstrument() } }
    return instrument(label, dimensions) { LevelInstrument() }
  }

  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    instrument(label, dimensions) { TimeInstrument() }
  }

  package func destroyCounter(_ handler: any CounterHandler) {}
  package func destroyMeter(_ handler: any MeterHandler) {}
  package func destroyRecorder(_ handler: any RecorderHandler) {}
  package func destroyTimer(_ handler: any TimerHandler) {}
}

// MARK: - Instruments

private protocol Instrument: AnyObject, Sendable {
  var kind: MetricFamily.Kind { get }
  var value: MetricFamily.Value { get }
}

private final class CountInstrument: Instrument, CounterHandler {
  private let cells = AtomicCells(count: 1)
  let kind = MetricFamily.Kind.counter
  var value: MetricFamily.Value { .count(cells.sum(0)) }

  func increment(by amount: Int64) {
    cells.add(Int(amount), to: 0)
  }

  /// Prometheus takes a counter that falls for one that began anew, so that none does.
  func reset() {}
}

private final class LevelInstrument: Instrument, MeterHandler, RecorderHandler {
  private let level = Mutex(0.0)
  let kind = MetricFamily.Kind.gauge
  var value: MetricFamily.Value { .number(level.withLock { $0 }) }

  func set(_ value: Int64) { level.withLock { $0 = Double(value) } }
  func set(_ value: Double) { level.withLock { $0 = value } }
  func increment(by amount: Double) { level.withLock { $0 += amount } }
  func decrement(by amount: Double) { level.withLock { $0 -= amount } }
  func record(_ value: Int64) { set(value) }
  func record(_ value: Double) { set(value) }
}

private final class SumInstrument: Instrument, RecorderHandler {
  private let sum = Mutex((count: 0, of: 0.0))
  let kind = MetricFamily.Kind.summary

  var value: MetricFamily.Value {
    let (count, sum) = sum.withLock { $0 }
    return .sum(count: count, of: sum)
  }

  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    sum.withLock { $0 = ($0.count + 1, $0.of + value) }
  }
}

private final class TimeInstrument: Instrument, TimerHandler {
  private let histogram = LatencyHistogram()
  let kind = MetricFamily.Kind.histogram
  var value: MetricFamily.Value { .times(histogram.value) }

  func recordNanoseconds(_ duration: Int64) {
    histogram.observe(nanoseconds: Int(duration))
  }
}
