import FoundationEssentials
import Glibc

/// What a command says on standard output.
enum CommandOutput {
  /// Writes text whole.
  ///
  /// - Throws: `.internalError` where nobody takes it, so that a cut-off file is not taken for whole.
  static func write(_ bytes: [UInt8]) throws(Failure) {
    guard !FileDescriptorOutput.writeAll(bytes, to: STDOUT_FILENO) else { return }
    throw Failure(.internalError, "cannot write to standard output: \(SystemCallError.latest)")
  }

  static func write(_ text: String) throws(Failure) {
    try write(Array(text.utf8))
  }

  static func write(json value: some Encodable) throws(Failure) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      try write(Array(try encoder.encode(value)) + Array("\n".utf8))
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(.internalError, "cannot write this as JSON: \(error)")
    }
  }
}

/// A table for a terminal: columns as wide as they need to be, two spaces between them.
struct TextTable {
  enum Side {
    case left
    case right
  }

  private let sides: [Side]
  private var rows: [[String]]

  init(_ columns: [(title: String, side: Side)]) {
    sides = columns.map(\.side)
    rows = [columns.map(\.title)]
  }

  mutating func add(_ row: [String]) {
    rows.append(row)
  }

  /// The lines, each with its end and without spaces at it.
  func text(indent: String = "") -> String {
    let widths = sides.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    var text = ""
    for row in rows {
      var line = indent
      for (column, cell) in row.enumerated() {
        let space = String(repeating: " ", count: widths[column] - cell.count)
        line += sides[column] == .left ? cell + space : space + cell
        line += "  "
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }
}

extension Sequence<Int64> {
  /// All added up; of foreign numbers too large to be sizes, some number and no trap.
  var sum: Int64 { reduce(0 as Int64) { $0 &+ $1 } }
}

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

/// `--samples 1281167` or `--samples train=1281167`: how many samples an epoch of a split has.
struct SampleTotals {
  private var bySplit: [String: Int] = [:]
  private var ofAll: Int?

  init(_ texts: [String]) throws(Failure) {
    for text in texts {
      let equals = text.lastIndex(of: "=")
      let digits = equals.map { text[text.index(after: $0)...] } ?? text[...]
      guard let number = Int(digits), number >= 0, number <= 1 << 46, digits.first != "+" else {
        throw Failure(
          .usage,
          "--samples: '\(text)' is no number of samples; write 50000 or val=50000"
        )
      }
      if let equals {
        bySplit[String(text[..<equals])] = number
      } else {
        ofAll = number
      }
    }
  }

  func count(ofSplit name: String) -> Int? { bySplit[name] ?? ofAll }
}
