/// A pattern over the keys below the remote, for example `train/*.tar` or `**/part-{00..31}.tar`.
///
/// `*` stands for any bytes but `/`, `?` for one character but `/`, `[a-z]` and `[!a-z]` for one
/// byte within or outside the set, `**` for any bytes with `/` among them; `**/` may stand for
/// nothing. Braces are expanded first, by the rules of `BracePattern`. A literal `*` is written `[*]`.
package struct KeyGlob: Hashable, Sendable {
  package let text: String
  private let names: Set<[UInt8]>
  private let globs: [[Token]]

  private enum Token: Hashable {
    case byte(UInt8)
    case character
    case set(ByteSet)
    case withinFolder
    case acrossFolders

    /// The slash of `**/`: may also stand for nothing where a component begins.
    case optionalSlash
  }

  /// More names than these are no pattern that somebody types.
  private static let maxNames = 100_000

  /// Reads a pattern.
  ///
  /// - Throws: `StoreError.invalid` for a set without end and for braces that make no sense.
  package init(_ text: String) throws(StoreError) {
    self.text = text
    let expanded =
      text.utf8.contains(UInt8(ascii: "{"))
      ? try BracePattern(text.utf8, maxNames: Self.maxNames).names : [Array(text.utf8)]
    var names: Set<[UInt8]> = []
    var globs: [[Token]] = []
    for pattern in expanded {
      if pattern.contains(where: { "*?[".utf8.contains($0) }) {
        globs.append(try Self.tokens(pattern))
      } else {
        names.insert(pattern)
      }
    }
    self.names = names
    self.globs = globs
  }

  /// Whether the whole key fits.
  ///
  /// - Complexity: O(pattern × key), also for patterns of many stars.
  package func matches(_ key: some Collection<UInt8>) -> Bool {
    if !names.isEmpty, names.contains(Array(key)) { return true }
    return globs.contains { Self.matches($0, key) }
  }

  // MARK: - Reading

  private static func tokens(_ pattern: [UInt8]) throws(StoreError) -> [Token] {
    var tokens: [Token] = []
    var rest = pattern[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "?"): tokens.append(.character)
      case UInt8(ascii: "["):
        guard let set = ByteSet(readingFrom: &rest) else {
          throw .invalid("the pattern \(PrintableName.text(pattern)) has a [ without its ]")
        }
        tokens.append(.set(set))
      case UInt8(ascii: "*"):
        guard rest.first == UInt8(ascii: "*") else {
          tokens.append(.withinFolder)
          break
        }
        while rest.first == UInt8(ascii: "*") { rest.removeFirst() }
        tokens.append(.acrossFolders)
        if rest.first == UInt8(ascii: "/") {
          rest.removeFirst()
          tokens.append(.optionalSlash)
        }
      default: tokens.append(.byte(byte))
      }
    }
    return tokens
  }

  // MARK: - Matching

  /// Walks the key once, with all places of the pattern that may be reached (Thompson's way).
  private static func matches(_ tokens: [Token], _ key: some Collection<UInt8>) -> Bool {
    var reached = [Bool](repeating: false, count: tokens.count + 1)
    reached[0] = true
    var previous: UInt8?
    skipEmpty(tokens, &reached, atStartOfComponent: true)
    for byte in key {
      var next = [Bool](repeating: false, count: tokens.count + 1)
      let continues = byte & 0xC0 == 0x80
      for place in tokens.indices where reached[place] {
        switch tokens[place] {
        case .byte(let wanted):
          if byte == wanted { next[place + 1] = true }
        case .character:
          if byte != UInt8(ascii: "/"), !continues { next[place + 1] = true }
        case .set(let set):
          if byte != UInt8(ascii: "/"), set.contains(byte) { next[place + 1] = true }
        case .withinFolder:
          if byte != UInt8(ascii: "/") { next[place] = true }
        case .acrossFolders: next[place] = true
        case .optionalSlash:
          if byte == UInt8(ascii: "/") { next[place + 1] = true }
        }
      }
      // The further bytes of a character of UTF-8 belong to the `?` that took its first.
      if continues, let previous, previous >= 0x80 {
        for place in tokens.indices where tokens[place] == .character && reached[place + 1] {
          next[place + 1] = true
        }
      }
      reached = next
      previous = byte
      skipEmpty(tokens, &reached, atStartOfComponent: byte == UInt8(ascii: "/"))
    }
    return reached[tokens.count]
  }

  private static func skipEmpty(
    _ tokens: [Token],
    _ reached: inout [Bool],
    atStartOfComponent: Bool
  ) {
    for place in tokens.indices where reached[place] {
      switch tokens[place] {
      case .withinFolder, .acrossFolders: reached[place + 1] = true
      case .optionalSlash where atStartOfComponent: reached[place + 1] = true
      default: break
      }
    }
  }
}

/// The bytes that a `[…]` stands for.
private struct ByteSet: Hashable {
  private var ranges: [ClosedRange<UInt8>] = []
  private var isNegated = false

  /// Reads on behind the `[`; nil where the `]` is missing.
  init?(readingFrom rest: inout ArraySlice<UInt8>) {
    if let mark = rest.first, mark == UInt8(ascii: "!") || mark == UInt8(ascii: "^") {
      isNegated = true
      rest.removeFirst()
    }
    var isFirst = true
    while let low = rest.popFirst() {
      if low == UInt8(ascii: "]"), !isFirst { return }
      isFirst = false
      var high = low
      if rest.first == UInt8(ascii: "-"), let end = rest.dropFirst().first,
        end != UInt8(ascii: "]")
      {
        high = end
        rest.removeFirst(2)
      }
      if low <= high { ranges.append(low...high) }
    }
    return nil
  }

  func contains(_ byte: UInt8) -> Bool {
    ranges.contains { $0.contains(byte) } != isNegated
  }
}
