/// Sizes, rates and times as people read them.
enum SizeText {
  /// Three digits that count, in decimal units: `512 B`, `1.24 MB`, `85.2 GB`.
  static func bytes(_ count: Int64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    var value = Double(max(0, count))
    var unit = 0
    // What would be rounded up to a thousand belongs to the next unit.
    while value >= 999.5, unit < units.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(max(0, count)) B" : "\(digits(value)) \(units[unit])"
  }

  /// `85.2 MB/s`.
  static func rate(bytesPerSecond: Double) -> String {
    guard bytesPerSecond.isFinite, bytesPerSecond > 0 else { return "0 B/s" }
    return bytes(Int64(min(bytesPerSecond, 1e18))) + "/s"
  }

  /// `0:42`, `1:02:03`, `3 d 04 h`.
  static func clock(seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "?" }
    let all = Int(seconds.rounded())
    let (minutes, hours) = (all / 60 % 60, all / 3600)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    if hours >= 48 { return "\(hours / 24) d \(two(hours % 24)) h" }
    return hours > 0
      ? "\(hours):\(two(minutes)):\(two(all % 60))" : "\(minutes):\(two(all % 60))"
  }

  /// How long something took: `0.42 s`, `9.3 s`, then as on a clock.
  static func time(seconds: Double) -> String {
    guard (0..<9.95).contains(seconds) else { return clock(seconds: seconds) }
    return "\(digits(seconds)) s"
  }

  private static func digits(_ value: Double) -> String {
    let places = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
    let scale = places == 2 ? 100.0 : places == 1 ? 10.0 : 1.0
    let scaled = Int((value * scale).rounded())
    guard places > 0 else { return "\(scaled)" }
    let part = String(scaled % Int(scale))
    return "\(scaled / Int(scale))." + String(repeating: "0", count: places - part.count) + part
  }
}
