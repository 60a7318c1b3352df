/// A number with a unit, as people write it: `10GB`, `1.5 GiB`, `20%`, `90s`.
package struct Quantity: Hashable, Sendable {
  /// What stands behind the number, in lower case; empty where nothing does.
  package let unit: String

  private let whole: Int64
  private let fraction: Int64
  private let fractionScale: Int64

  /// Nil where the text does not begin with a number, or the number is beyond all use.
  package init?(_ text: String) {
    var rest = text.utf8.drop { $0 == UInt8(ascii: " ") }
    guard let whole = Self.digits(&rest, atMost: 18) else { return nil }
    self.whole = whole.value
    var fraction: (value: Int64, scale: Int64) = (0, 1)
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      guard let digits = Self.digits(&rest, atMost: 6) else { return nil }
      fraction = digits
    }
    self.fraction = fraction.value
    self.fractionScale = fraction.scale
    guard let unit = String(rest) else { return nil }
    let letters = unit.drop { $0 == " " }
    guard letters.allSatisfy({ ($0.isASCII && $0.isLetter) || $0 == "%" }) else { return nil }
    self.unit = letters.lowercased()
  }

  package var isWhole: Bool { fractionScale == 1 }

  /// The number times the unit's size, rounded down; nil where that is more than fits.
  package func times(_ size: Int64) -> Int64? {
    let (large, overflowed) = whole.multipliedReportingOverflow(by: size)
    let (small, smallOverflowed) = fraction.multipliedReportingOverflow(by: size)
    guard !overflowed, !smallOverflowed else { return nil }
    let (sum, sumOverflowed) = large.addingReportingOverflow(small / fractionScale)
    return sumOverflowed ? nil : sum
  }

  private static func digits(
    _ rest: inout Substring.UTF8View,
    atMost maxDigits: Int
  ) -> (value: Int64, scale: Int64)? {
    var value: Int64 = 0
    var scale: Int64 = 1
    var count = 0
    while let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      count += 1
      guard count <= maxDigits else { return nil }
      value = value * 10 + Int64(byte - UInt8(ascii: "0"))
      scale *= 10
      rest = rest.dropFirst()
    }
    return count == 0 ? nil : (value, scale)
  }
}

// MARK: - Sizes and times

extension Quantity {
  /// The bytes of `10GB`, `512MiB`, `4k` or `1000`; a letter alone is binary, as in dd and rclone.
  package var bytes: Int64? {
    switch unit {
    case "" where isWhole, "b" where isWhole: times(1)
    case "kb": times(1000)
    case "mb": times(1_000_000)
    case "gb": times(1_000_000_000)
    case "tb": times(1_000_000_000_000)
    case "k", "kib": times(1 << 10)
    case "m", "mib": times(1 << 20)
    case "g", "gib": times(1 << 30)
    case "t", "tib": times(1 << 40)
    default: nil
    }
  }

  /// The time of `60`, `60s`, `1.5m`, `500ms` or `2h`; a number alone is seconds.
  package var duration: Duration? {
    let milliseconds: Int64? =
      switch unit {
      case "ms" where isWhole: times(1)
      case "", "s", "sec": times(1000)
      case "m", "min": times(60_000)
      case "h": times(3_600_000)
      case "d": times(86_400_000)
      default: nil
      }
    return milliseconds.map { .milliseconds($0) }
  }
}
