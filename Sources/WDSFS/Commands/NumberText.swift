/// Counts as people read them, and bars of them.
enum NumberText {
  /// A number with its thousands apart: `12,800`.
  static func grouped(_ number: Int) -> String {
    var groups: [String] = []
    var rest = number.magnitude
    while rest >= 1000 {
      groups.append(String(String(1000 + rest % 1000).dropFirst()))
      rest /= 1000
    }
    groups.append(String(rest))
    return (number < 0 ? "-" : "") + groups.reversed().joined(separator: ",")
  }

  /// `1 rank`, `2 ranks`.
  static func counted(_ number: Int, _ noun: String, _ plural: String? = nil) -> String {
    "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
  }

  /// Ascending numbers as ranges: `0-3, 7`.
  static func ranges(_ numbers: [Int]) -> String {
    var parts: [String] = []
    var rest = numbers[...]
    while let first = rest.popFirst() {
      var last = first
      while let next = rest.first, next == last + 1 {
        last = next
        rest.removeFirst()
      }
      parts.append(first == last ? "\(first)" : "\(first)-\(last)")
    }
    return parts.joined(separator: ", ")
  }

  /// A bar of a given width, for the part of a whole: `[#####...............]`.
  static func bar(_ part: Int, of whole: Int, width: Int) -> String {
    let share = whole > 0 ? Double(part) / Double(whole) : 0
    let filled = min(width, max(part > 0 ? 1 : 0, Int(share * Double(width))))
    return "[" + String(repeating: "#", count: filled)
      + String(repeating: ".", count: width - filled) + "]"
  }
}

extension Sequence<Int64> {
  /// All added up; of foreign numbers too large to be sizes, some number and no trap.
  var sum: Int64 { reduce(0 as Int64) { $0 &+ $1 } }
}
