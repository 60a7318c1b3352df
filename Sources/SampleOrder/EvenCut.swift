/// Cuts `0..<count` into parts one after the other whose sizes differ by at most one.
///
/// The longer ones come first.
struct EvenCut: Hashable, Sendable {
  let count: Int
  let parts: Int

  /// The size of the shorter parts, and how many parts have one more.
  private let share: (size: Int, longer: Int)

  init(_ count: Int, into parts: Int) {
    self.count = count
    self.parts = parts
    share = (count / parts, count % parts)
  }

  func start(of part: Int) -> Int { part * share.size + min(part, share.longer) }

  func range(of part: Int) -> Range<Int> { start(of: part)..<start(of: part + 1) }

  /// The part that holds a number below `count`.
  func part(of number: Int) -> Int {
    let long = share.longer * (share.size + 1)
    return number < long
      ? number / (share.size + 1)
      : share.longer + (number - long) / share.size
  }

  static func == (left: EvenCut, right: EvenCut) -> Bool {
    (left.count, left.parts) == (right.count, right.parts)
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(count)
    hasher.combine(parts)
  }
}
