import Remote

/// Guesses, from the names on one page of a listing, where in the names behind it to begin as well.
///
/// Shards are numbered: `train/000000.tar`, `part-00017-of-01024.tar`, or named by hash. Where the
/// page runs from 000000 to 000999, there may be keys behind 01, 02, ... 09, and behind 1, 2, ... 9:
/// a step of that digit is ten pages long.
enum ListBoundaries {
  /// Shorter sections than this many pages are not worth a request that may be in vain.
  private static let leastPages = 3

  private static let decimal = Array("0123456789".utf8)
  private static let lowerHex = Array("0123456789abcdef".utf8)
  private static let upperHex = Array("0123456789ABCDEF".utf8)

  /// Guesses where sections behind a page may begin.
  ///
  /// - Parameters:
  ///   - objects: One page, ascending.
  ///   - until: What they must stay before; nil: no end.
  /// - Returns: Boundaries behind the page, ascending; none where its names tell nothing.
  static func guessed(from objects: [ObjectInfo], until: [UInt8]?) -> [[UInt8]] {
    guard let first = objects.first?.key.bytes, let last = objects.last?.key.bytes else {
      return []
    }
    // Where the page's names begin to differ: what lies before does not change within a page.
    let column = zip(first, last).prefix { $0 == $1 }.count
    guard column < first.count, column < last.count else { return [] }
    let digits = alphabet(of: objects, at: column)
    guard let from = digits.firstIndex(of: first[column]),
      let to = digits.firstIndex(of: last[column]), from < to
    else { return [] }
    var start = column
    while start > 0, digits.contains(last[start - 1]) { start -= 1 }
    // One step of the digit before takes this many pages; of the one before that, ten times more.
    let pagesOfStep = digits.count / (to - from + 1)
    let lowest = column - (pagesOfStep >= leastPages ? 1 : 2)
    var boundaries: [[UInt8]] = []
    for place in stride(from: lowest, through: start, by: -1) {
      for digit in digits where digit > last[place] {
        let boundary = last[..<place] + [digit]
        if let until, !boundary.lexicographicallyPrecedes(until) { continue }
        boundaries.append(Array(boundary))
      }
    }
    // A boundary is sent as text.
    let isText = boundaries.allSatisfy { String(validating: $0, as: UTF8.self) != nil }
    return isText ? boundaries : []
  }

  private static func alphabet(of objects: [ObjectInfo], at column: Int) -> [UInt8] {
    let seen = Set(objects.compactMap { column < $0.key.bytes.count ? $0.key.bytes[column] : nil })
    if seen.isSubset(of: decimal) { return decimal }
    if seen.isSubset(of: lowerHex) { return lowerHex }
    return seen.isSubset(of: upperHex) ? upperHex : []
  }
}
