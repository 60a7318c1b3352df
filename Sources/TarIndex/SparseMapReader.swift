/// Reads the map of GNU sparse format 1.0, which comes first in a member's data.
///
/// Decimal lines: how many pieces, then the offset and size of each.
struct SparseMapReader: Sendable {
  private(set) var pieces = SparsePieces()
  private(set) var isDone = false
  private let maxPieces: Int64
  private var number: Int64 = 0
  private var hasDigits = false
  private var remaining: Int64?
  private var openOffset: Int64?

  init(maxPieces: Int64) {
    self.maxPieces = maxPieces
  }

  /// Takes the next byte of the map.
  ///
  /// - Returns: False where the map is malformed.
  mutating func take(_ byte: UInt8) -> Bool {
    if byte == 0x0A { return hasDigits && endLine() }
    let digit = byte &- 0x30
    guard digit < 10 else { return false }
    let (tenfold, overflow) = number.multipliedReportingOverflow(by: 10)
    let (next, carry) = tenfold.addingReportingOverflow(Int64(digit))
    number = next
    hasDigits = true
    return !overflow && !carry
  }

  private mutating func endLine() -> Bool {
    let value = number
    number = 0
    hasDigits = false
    guard let left = remaining else {
      remaining = value
      isDone = value == 0
      return value <= maxPieces
    }
    guard let offset = openOffset else {
      openOffset = value
      return true
    }
    openOffset = nil
    pieces.add(offset: offset, sizeBytes: value)
    remaining = left - 1
    isDone = left == 1
    return pieces.isOrdered
  }
}
