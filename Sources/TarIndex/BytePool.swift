import CXXHash

/// Byte strings, each kept once and known by a number in order of their first coming.
///
/// An open-addressing table of numbers over one block of bytes: a string costs its bytes and some
/// 20 more, and looking one up allocates nothing.
package struct BytePool: Sendable {
  package private(set) var bytes: [UInt8] = []

  /// Where each string ends in `bytes`.
  package private(set) var ends: [UInt64] = []

  /// Number plus one, 0 where free; a power of two of them, at most half in use.
  private var slots = [UInt32](repeating: 0, count: 16)

  /// Chance, so that no archive can choose names that collide; the numbers do not depend on it.
  private let seed = UInt64.random(in: .min ... .max)

  package init() {}

  package var count: Int { ends.count }

  /// The number of a byte string, which is kept if it is new.
  package mutating func number(of entry: UnsafeRawBufferPointer) -> UInt32 {
    var slot = firstSlot(of: entry)
    while slots[slot] != 0 {
      let candidate = Int(slots[slot] - 1)
      if isEqual(candidate, entry) { return UInt32(candidate) }
      slot = (slot + 1) & (slots.count - 1)
    }
    let number = UInt32(ends.count)
    slots[slot] = number + 1
    bytes.append(contentsOf: entry)
    ends.append(UInt64(bytes.count))
    if ends.count * 2 > slots.count { grow() }
    return number
  }

  /// Where a string lies in `bytes`.
  package func range(of number: Int) -> Range<Int> {
    (number == 0 ? 0 : Int(ends[number - 1]))..<Int(ends[number])
  }

  private func isEqual(_ number: Int, _ entry: UnsafeRawBufferPointer) -> Bool {
    let range = range(of: number)
    guard range.count == entry.count else { return false }
    return bytes.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[range]).equals(entry) }
  }

  private func firstSlot(of entry: UnsafeRawBufferPointer) -> Int {
    let hash = wdsfs_xxh3_64(entry.baseAddress, entry.count, seed)
    return Int(truncatingIfNeeded: hash) & (slots.count - 1)
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    for number in ends.indices {
      let range = range(of: number)
      var slot = bytes.withUnsafeBytes { all in
        firstSlot(of: UnsafeRawBufferPointer(rebasing: all[range]))
      }
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(number) + 1
    }
  }
}
