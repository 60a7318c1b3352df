import Glibc

/// A time of day in UTC, as HTTP, S3 and signatures spell it.
package struct CalendarTime: Hashable, Sendable {
  /// Since 1970.
  package let seconds: Int64

  package init(seconds: Int64) {
    self.seconds = seconds
  }

  package static var now: CalendarTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return CalendarTime(seconds: Int64(time.tv_sec))
  }

  /// `20130524T000000Z`, as in `x-amz-date`.
  package var compact: String { spelled(dateMark: "", timeMark: "") }

  /// `2013-05-24T00:00:00Z`.
  package var iso8601: String { spelled(dateMark: "-", timeMark: ":") }

  private func spelled(dateMark: String, timeMark: String) -> String {
    let (days, rest) = Self.divided(seconds, by: 86_400)
    let (year, month, day) = Self.date(of: days)
    let date = [Self.padded(year, 4), Self.padded(month, 2), Self.padded(day, 2)]
    let time = [rest / 3600, rest / 60 % 60, rest % 60].map { Self.padded($0, 2) }
    return date.joined(separator: dateMark) + "T" + time.joined(separator: timeMark) + "Z"
  }

  /// Reads `Fri, 24 May 2013 00:00:00 GMT`, the one form that servers send today.
  package init?(httpDate text: String) {
    let words = text.split(whereSeparator: { $0 == " " || $0 == "," || $0 == ":" || $0 == "-" })
    let months = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    guard words.count == 8, let month = months.firstIndex(of: String(words[2])) else { return nil }
    let numbers = [words[3], Substring(String(month + 1)), words[1], words[4], words[5], words[6]]
    self.init(parts: numbers.compactMap { Int64($0) })
  }

  /// Reads `2013-05-24T00:00:00.000Z`, also with `UTC` or an offset such as `+02:00` for the `Z`.
  package init?(iso8601 text: String) {
    let words = text.utf8.split { $0 < UInt8(ascii: "0") || $0 > UInt8(ascii: "9") }
    guard let time = CalendarTime(parts: words.prefix(6).compactMap { Int64(Substring($0)) }) else {
      return nil
    }
    if text.hasSuffix("Z") || text.hasSuffix("UTC") {
      self = time
      return
    }
    // The sign of an offset is the last but five of the characters: +hh:mm.
    let zone = text.utf8.suffix(6)
    let parts = zone.dropFirst().split(separator: UInt8(ascii: ":"))
    guard zone.count == 6, parts.count == 2,
      let hours = Int64(String(decoding: parts[0], as: UTF8.self)),
      let minutes = Int64(String(decoding: parts[1], as: UTF8.self)),
      (0...23).contains(hours), (0...59).contains(minutes)
    else { return nil }
    switch zone.first {
    case UInt8(ascii: "+"): self.init(seconds: time.seconds - hours * 3600 - minutes * 60)
    case UInt8(ascii: "-"): self.init(seconds: time.seconds + hours * 3600 + minutes * 60)
    default: return nil
    }
  }

  /// Year, month, day, hour, minute, second.
  private init?(parts: [Int64]) {
    guard parts.count == 6, (1...9999).contains(parts[0]), (1...12).contains(parts[1]),
      (1...31).contains(parts[2]), (0...23).contains(parts[3]), (0...59).contains(parts[4]),
      (0...60).contains(parts[5])
    else { return nil }
    let days = Self.days(year: parts[0], month: parts[1], day: parts[2])
    seconds = days * 86_400 + parts[3] * 3600 + parts[4] * 60 + parts[5]
  }

  // MARK: - Calendar

  /// Days since 1970 by the Gregorian calendar, in eras of 400 years that begin in March.
  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let (era, yearOfEra) = divided(month <= 2 ? year - 1 : year, by: 400)
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func date(of days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let (era, dayOfEra) = divided(days + 719_468, by: 146_097)
    let leaps = dayOfEra / 1460 - dayOfEra / 36_524 + dayOfEra / 146_096
    let yearOfEra = (dayOfEra - leaps) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  private static func divided(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
