/// What one pax header says, as far as it is used.
///
/// POSIX `pax`, Extended Header: records of `LENGTH SP KEYWORD "=" VALUE LF`. The places of names
/// are given as ranges in the header's body, so that nothing is copied for a record nobody needs.
struct PaxRecords {
  var path: Range<Int>?
  var size: Int64?
  var modifiedSeconds: Int64?
  var sparse = SparseRecords()

  /// Reads every record; a later one wins over an earlier one.
  ///
  /// - Throws: `.badPax`, or what a `size` that is not one is called.
  init(
    _ body: UnsafeRawBufferPointer,
    maxSparsePieces: Int64
  ) throws(TarErrorClass) {
    var position = 0
    while position < body.count {
      if body[position] == 0 {
        guard body[position...].allSatisfy({ $0 == 0 }) else { throw .badPax }
        return
      }
      let end = try Self.recordEnd(body, from: &position)
      guard let equals = body[position..<end].firstIndex(of: UInt8(ascii: "=")) else {
        throw .badPax
      }
      try take(
        keyword: UnsafeRawBufferPointer(rebasing: body[position..<equals]),
        value: UnsafeRawBufferPointer(rebasing: body[equals + 1..<end]),
        at: equals + 1..<end,
        maxSparsePieces: maxSparsePieces
      )
      position = end + 1
    }
  }

  /// Reads a record's length, moves on to its keyword, and gives the place of its line feed.
  private static func recordEnd(
    _ body: UnsafeRawBufferPointer,
    from position: inout Int
  ) throws(TarErrorClass) -> Int {
    let start = position
    var length = 0
    while position < body.count, case let digit = body[position] &- 0x30, digit < 10 {
      length = length * 10 + Int(digit)
      // A length beyond the body is wrong already, and this keeps the product small.
      guard length <= body.count - start else { throw .badPax }
      position += 1
    }
    let hasDigits = position > start
    guard hasDigits, position < body.count, body[position] == 0x20 else { throw .badPax }
    position += 1
    let end = start + length - 1
    guard end >= position, body[end] == 0x0A else { throw .badPax }
    return end
  }

  private mutating func take(
    keyword: UnsafeRawBufferPointer,
    value: UnsafeRawBufferPointer,
    at range: Range<Int>,
    maxSparsePieces: Int64
  ) throws(TarErrorClass) {
    if keyword.equals("mtime") {
      modifiedSeconds = Self.wholeSeconds(value) ?? modifiedSeconds
    } else if keyword.equals("path") {
      path = range
    } else if keyword.equals("size") {
      switch TarNumber(decimal: value) {
      case .value(let number): size = number
      case .negative: throw .negativeSize
      case .tooLarge: throw .sizeOverflow
      case .invalid: throw .badPax
      }
    } else if keyword.starts(with: "GNU.sparse.".utf8) {
      let rest = UnsafeRawBufferPointer(rebasing: keyword[11...])
      sparse.take(keyword: rest, value: value, at: range, maxPieces: maxSparsePieces)
    }
  }

  /// The seconds of a time such as `1700000000.25`, rounded down; nil where it is not one.
  private static func wholeSeconds(_ text: UnsafeRawBufferPointer) -> Int64? {
    let isNegative = text.first == UInt8(ascii: "-")
    let digits = isNegative ? text.dropFirst() : text[...]
    let point = digits.firstIndex(of: UInt8(ascii: ".")) ?? digits.endIndex
    let whole = UnsafeRawBufferPointer(rebasing: digits[..<point])
    guard case .value(let seconds) = TarNumber(decimal: whole) else { return nil }
    let fraction = digits[point...].dropFirst()
    guard fraction.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    guard isNegative else { return seconds }
    return fraction.contains { $0 != 0x30 } ? -seconds - 1 : -seconds
  }
}
