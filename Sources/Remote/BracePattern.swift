/// A pattern such as `train-{000000..000146}.tar`, which stands for many names.
///
/// The rules are those of the `braceexpand` package, on bytes (format page, section 2). Nothing is
/// expanded before the number and the length of the names are known to be within the limits.
package struct BracePattern: Hashable, Sendable {
  /// Format page, section 2.
  package static let maxNames = 1_000_000

  /// 1,024 bytes, the longest key of S3, for a quarter of the names.
  package static let maxBytes = 256 * 1024 * 1024

  /// How deep braces may nest; the parser calls itself once a level.
  package static let maxDepth = 32

  package let nameCount: Int
  private let root: BraceNode

  /// Reads a pattern.
  ///
  /// - Throws: `StoreError.invalid` for unbalanced braces and for more than the limits.
  package init(_ pattern: some Sequence<UInt8>, maxNames: Int = Self.maxNames) throws(StoreError) {
    let bytes = Array(pattern)
    let name = PrintableName.text(bytes)
    do throws(BraceNode.Problem) {
      root = try BraceNode(pattern: bytes[...], depth: 0)
    } catch {
      throw .invalid("the pattern \(name) cannot be read: \(error.sentence)")
    }
    guard let size = root.size, size.names <= maxNames, size.bytes <= Self.maxBytes else {
      throw .invalid(
        "the pattern \(name) stands for more than \(maxNames) names, or for names too long; "
          + "mount fewer shards"
      )
    }
    nameCount = size.names
  }

  package init(_ pattern: String) throws(StoreError) {
    try self.init(pattern.utf8)
  }

  /// All names, in the pattern's order.
  package var names: [[UInt8]] { root.names }
}

/// A part of a pattern.
private indirect enum BraceNode: Hashable, Sendable {
  case literal([UInt8])
  case row([BraceNode])
  case choice([BraceNode])
  case integers(first: Int64, step: UInt64, isDown: Bool, count: UInt64, width: Int)
  case letters([UInt8])

  enum Problem: Error {
    case unbalanced
    case tooDeep
    case numberTooLarge

    var sentence: String {
      switch self {
      case .unbalanced: "unbalanced braces"
      case .tooDeep: "braces nest deeper than \(BracePattern.maxDepth)"
      case .numberTooLarge: "a number does not fit in 64 bits"
      }
    }
  }
}

// MARK: - Reading

extension BraceNode {
  init(pattern: ArraySlice<UInt8>, depth: Int) throws(Problem) {
    guard depth <= BracePattern.maxDepth else { throw .tooDeep }
    var parts: [BraceNode] = []
    var start = pattern.startIndex
    var place = start
    var open = 0
    while place < pattern.endIndex {
      switch pattern[place] {
      case UInt8(ascii: "\\"):
        place += 1
      case UInt8(ascii: "{"):
        if open == 0, place > start {
          parts.append(.literal(Self.unescaped(pattern[start..<place])))
          start = place
        }
        open += 1
      case UInt8(ascii: "}"):
        open -= 1
        if open == 0 {
          let inside = pattern[(start + 1)..<place]
          if let expression = try Self.expression(inside, depth: depth + 1) {
            parts.append(expression)
          } else {
            parts.append(.literal([UInt8(ascii: "{")]))
            parts.append(try BraceNode(pattern: inside, depth: depth + 1))
            parts.append(.literal([UInt8(ascii: "}")]))
          }
          start = place + 1
        }
      default: break
      }
      place += 1
    }
    guard open == 0 else { throw .unbalanced }
    if start < pattern.endIndex {
      parts.append(.literal(Self.unescaped(pattern[start...])))
    }
    self = .row(parts)
  }

  /// A range or a list; nil where the braces hold neither and are kept as they are.
  private static func expression(
    _ inside: ArraySlice<UInt8>,
    depth: Int
  ) throws(Problem) -> BraceNode? {
    if let range = try range(inside) { return range }
    var items: [BraceNode] = []
    var start = inside.startIndex
    var place = start
    var open = 0
    while place < inside.endIndex {
      switch inside[place] {
      case UInt8(ascii: "\\"): place += 1
      case UInt8(ascii: "{"): open += 1
      case UInt8(ascii: "}"): open -= 1
      case UInt8(ascii: ",") where open == 0:
        items.append(try BraceNode(pattern: inside[start..<place], depth: depth))
        start = place + 1
      default: break
      }
      place += 1
    }
    guard open == 0, !items.isEmpty else { return nil }
    items.append(try BraceNode(pattern: inside[start...], depth: depth))
    return .choice(items)
  }

  /// `first..last` or `first..last..step`, of numbers or of letters.
  private static func range(_ inside: ArraySlice<UInt8>) throws(Problem) -> BraceNode? {
    var pieces: [ArraySlice<UInt8>] = []
    var rest = inside
    while let dots = rest.indices.dropLast().first(where: {
      rest[$0] == UInt8(ascii: ".") && rest[$0 + 1] == UInt8(ascii: ".")
    }) {
      pieces.append(rest[..<dots])
      rest = rest[(dots + 2)...]
      if pieces.count > 2 { return nil }
    }
    pieces.append(rest)
    guard pieces.count == 2 || pieces.count == 3 else { return nil }
    var step: UInt64 = 1
    if pieces.count == 3 {
      guard isNumber(pieces[2]) else { return nil }
      let digits = pieces[2].first == UInt8(ascii: "-") ? pieces[2].dropFirst() : pieces[2]
      step = max(1, UInt64(String(decoding: digits, as: UTF8.self)) ?? .max)
    }
    if pieces[0].count == 1, pieces[1].count == 1 {
      let alphabet =
        Array(UInt8(ascii: "A")...UInt8(ascii: "Z")) + (UInt8(ascii: "a")...UInt8(ascii: "z"))
      if let first = alphabet.firstIndex(of: inside[pieces[0].startIndex]),
        let last = alphabet.firstIndex(of: inside[pieces[1].startIndex])
      {
        let stride = Int(min(step, 64))
        let places =
          first <= last
          ? Array(Swift.stride(from: first, through: last, by: stride))
          : Array(Swift.stride(from: first, through: last, by: -stride))
        return .letters(places.map { alphabet[$0] })
      }
    }
    guard isNumber(pieces[0]), isNumber(pieces[1]) else { return nil }
    guard let first = Int64(String(decoding: pieces[0], as: UTF8.self)),
      let last = Int64(String(decoding: pieces[1], as: UTF8.self))
    else { throw .numberTooLarge }
    let isPadded = pieces[0...1].contains(where: hasLeadingZero)
    let distance =
      first <= last
      ? UInt64(bitPattern: last &- first) : UInt64(bitPattern: first &- last)
    let (count, isOver) = (distance / step).addingReportingOverflow(1)
    guard !isOver else { throw .numberTooLarge }
    return .integers(
      first: first,
      step: step,
      isDown: last < first,
      count: count,
      width: isPadded ? max(pieces[0].count, pieces[1].count) : 0
    )
  }

  private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
    let digits = text.first == UInt8(ascii: "-") ? text.dropFirst() : text
    return !digits.isEmpty
      && digits.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
  }

  private static func hasLeadingZero(_ number: ArraySlice<UInt8>) -> Bool {
    let digits = number.first == UInt8(ascii: "-") ? number.dropFirst() : number
    return digits.count > 1 && digits.first == UInt8(ascii: "0")
  }

  /// Takes one backslash from before each escaped byte; one at the very end stays.
  private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        result.append(escaped)
      } else {
        result.append(byte)
      }
    }
    return result
  }
}

// MARK: - Expanding

extension BraceNode {
  struct Size {
    var names: Int
    var bytes: Int
  }

  /// How many names, and how many bytes they have together at most; nil where that overflows.
  var size: Size? {
    switch self {
    case .literal(let text):
      return Size(names: 1, bytes: text.count)
    case .letters(let letters):
      return Size(names: letters.count, bytes: letters.count)
    case .integers(_, _, _, let count, let width):
      guard let names = Int(exactly: count) else { return nil }
      let (bytes, isOver) = names.multipliedReportingOverflow(by: max(width, 20))
      return isOver ? nil : Size(names: names, bytes: bytes)
    case .choice(let items):
      var sum = Size(names: 0, bytes: 0)
      for item in items {
        guard let size = item.size else { return nil }
        let names = sum.names.addingReportingOverflow(size.names)
        let bytes = sum.bytes.addingReportingOverflow(size.bytes)
        guard !names.overflow, !bytes.overflow else { return nil }
        sum = Size(names: names.partialValue, bytes: bytes.partialValue)
      }
      return sum
    case .row(let parts):
      var product = Size(names: 1, bytes: 0)
      for part in parts {
        guard let size = part.size else { return nil }
        let names = product.names.multipliedReportingOverflow(by: size.names)
        let left = product.bytes.multipliedReportingOverflow(by: size.names)
        let right = size.bytes.multipliedReportingOverflow(by: product.names)
        let bytes = left.partialValue.addingReportingOverflow(right.partialValue)
        let overflows = [names.overflow, left.overflow, right.overflow, bytes.overflow]
        guard !overflows.contains(true) else { return nil }
        product = Size(names: names.partialValue, bytes: bytes.partialValue)
      }
      return product
    }
  }

  /// Call only where `size` is within the limits.
  var names: [[UInt8]] {
    switch self {
    case .literal(let text): return [text]
    case .letters(let letters): return letters.map { [$0] }
    case .integers(let first, let step, let isDown, let count, let width):
      return (0..<count).map { place in
        let distance = Int64(bitPattern: place &* step)
        return Self.spelled(isDown ? first &- distance : first &+ distance, width: width)
      }
    case .choice(let items):
      return items.flatMap(\.names)
    case .row(let parts):
      return Self.joined(parts.map(\.names))
    }
  }

  /// All ways through a row of choices.
  ///
  /// What is no choice is joined first: of what is left, every second part at least doubles the number of
  /// names, so that all of it together costs no more than a few times its result.
  private static func joined(_ parts: [[[UInt8]]]) -> [[UInt8]] {
    var choices: [[[UInt8]]] = []
    for names in parts {
      if names.count == 1, choices.last?.count == 1 {
        choices[choices.count - 1][0] += names[0]
      } else {
        choices.append(names)
      }
    }
    return choices.reduce([[]]) { rows, ends in
      rows.flatMap { row in ends.map { row + $0 } }
    }
  }

  /// The number with zeros before it; the sign counts for the width, as in C's `%0*d`.
  private static func spelled(_ number: Int64, width: Int) -> [UInt8] {
    let digits = Array(String(number.magnitude).utf8)
    let sign: [UInt8] = number < 0 ? [UInt8(ascii: "-")] : []
    let zeros = max(0, width - digits.count - sign.count)
    return sign + Array(repeating: UInt8(ascii: "0"), count: zeros) + digits
  }
}
