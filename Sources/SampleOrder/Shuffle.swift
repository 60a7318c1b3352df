/// The two permutations of the order: one kept as a list, one computed place by place.
enum Shuffle {
  /// The numbers below `count`, permuted by Fisher and Yates.
  static func list(count: Int, by generator: KeyedGenerator) -> [Int32] {
    var list = (0..<Int32(count)).map { $0 }
    guard count > 1 else { return list }
    for (turn, last) in stride(from: count - 1, through: 1, by: -1).enumerated() {
      list.swapAt(last, Int(generator.word(UInt64(turn), below: UInt64(last + 1))))
    }
    return list
  }

  /// Which of `count` things comes at `place`.
  ///
  /// A Feistel network of eight rounds over pairs of numbers below the square root of `count`,
  /// walked until it lands within the count: constant time, and no list.
  ///
  /// - Parameters:
  ///   - place: Within `0..<count`.
  ///   - count: At most 2^46.
  ///   - generator: The window's.
  /// - Returns: Within `0..<count`; another one for each place.
  static func element(at place: Int, of count: Int, by generator: KeyedGenerator) -> Int {
    guard count > 1 else { return place }
    let side = side(of: count)
    var word = UInt64(place)
    repeat {
      var (left, right) = word.quotientAndRemainder(dividingBy: side)
      for round in 0..<rounds {
        let sum = left + generator.word(round << 32 | right, below: side)
        left = right
        right = sum >= side ? sum - side : sum
      }
      word = left * side + right
    } while word >= count
    return Int(word)
  }

  /// The place at which `element` comes: the inverse of `element(at:of:by:)`.
  static func place(of element: Int, of count: Int, by generator: KeyedGenerator) -> Int {
    guard count > 1 else { return element }
    let side = side(of: count)
    var word = UInt64(element)
    repeat {
      var (left, right) = word.quotientAndRemainder(dividingBy: side)
      for round in (0..<rounds).reversed() {
        let term = generator.word(round << 32 | left, below: side)
        (left, right) = (right >= term ? right - term : right + side - term, left)
      }
      word = left * side + right
    } while word >= count
    return Int(word)
  }

  /// Twice what a pseudorandom permutation needs at least (Luby and Rackoff), since the halves are
  /// small.
  private static let rounds: UInt64 = 8

  /// So that even the smallest windows are drawn from a network of 64 pairs, which mixes.
  private static let minSide: UInt64 = 8

  /// The smallest number whose square is at least `count`, but no less than `minSide`.
  private static func side(of count: Int) -> UInt64 {
    var side = UInt64(Double(count).squareRoot())
    while side * side < count {
      side += 1
    }
    return max(side, minSide)
  }
}
