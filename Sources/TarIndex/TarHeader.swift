/// One header block of an archive, read where it lies.
///
/// Field positions: POSIX `pax`, ustar Interchange Format, and GNU tar's `tar.h` for sparse members.
struct TarHeader {
  static let blockBytes = 512

  enum Verdict {
    case valid
    case zero
    case invalid
  }

  let block: UnsafeRawBufferPointer

  /// - Parameter block: Exactly one block; it must outlive the header.
  init(_ block: UnsafeRawBufferPointer) {
    precondition(block.count == Self.blockBytes, "a header of \(block.count) bytes")
    self.block = block
  }

  var type: UInt8 { block[156] }

  var size: TarNumber { TarNumber(block, 124..<136) }

  /// Seconds since 1970; 0 where the field makes no sense, since it must not make a member fail.
  var modifiedSeconds: Int64 {
    guard case .value(let seconds) = TarNumber(block, 136..<148) else { return 0 }
    return seconds
  }

  // MARK: Name

  var name: UnsafeRawBufferPointer { text(0..<100) }

  /// The directory part that POSIX headers keep apart; GNU headers hold times in these bytes.
  var prefix: UnsafeRawBufferPointer {
    let isPOSIX =
      block[257] == UInt8(ascii: "u") && block[258] == UInt8(ascii: "s")
      && block[259] == UInt8(ascii: "t") && block[260] == UInt8(ascii: "a")
      && block[261] == UInt8(ascii: "r") && block[262] == 0
    return text(isPOSIX ? 345..<500 : 345..<345)
  }

  private func text(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    var end = range.lowerBound
    while end < range.upperBound, block[end] != 0 { end += 1 }
    return UnsafeRawBufferPointer(rebasing: block[range.lowerBound..<end])
  }

  // MARK: Checksum

  /// Whether the stored checksum is that of the block, summed over unsigned or signed bytes.
  var verdict: Verdict {
    let total = unsignedSum
    if total == 0 { return .zero }
    guard case .value(let stored) = TarNumber(octal: block, 148..<156) else { return .invalid }
    var blanked = total + 8 * 0x20
    for position in 148..<156 { blanked -= Int64(block[position]) }
    if stored == blanked { return .valid }
    var negativeCount: Int64 = 0
    for position in 0..<Self.blockBytes where !(148..<156).contains(position) {
      negativeCount += Int64(block[position] >> 7)
    }
    return stored == blanked - 256 * negativeCount ? .valid : .invalid
  }

  /// Eight bytes a step, in four lanes of 16 bits, which hold 64 steps of two bytes each.
  private var unsignedSum: Int64 {
    let everyOther: UInt64 = 0x00FF_00FF_00FF_00FF
    var lanes: UInt64 = 0
    for step in 0..<Self.blockBytes / 8 {
      let eight = block.loadUnaligned(fromByteOffset: step &* 8, as: UInt64.self)
      lanes &+= (eight & everyOther) &+ ((eight &>> 8) & everyOther)
    }
    return Int64((lanes & 0xFFFF) + (lanes >> 16 & 0xFFFF) + (lanes >> 32 & 0xFFFF) + (lanes >> 48))
  }
}

/// A number of a header: octal text, or GNU's base-256.
enum TarNumber: Equatable {
  case value(Int64)
  case negative

  /// More than a signed 64-bit number holds.
  case tooLarge
  case invalid

  init(_ block: UnsafeRawBufferPointer, _ range: Range<Int>) {
    switch block[range.lowerBound] {
    case 0x80: self.init(base256: block, range.lowerBound + 1..<range.upperBound)
    case 0xFF: self = .negative
    default: self.init(octal: block, range)
    }
  }

  /// Octal digits with blanks around them, up to the first NUL; nothing means 0.
  init(octal block: UnsafeRawBufferPointer, _ range: Range<Int>) {
    var position = range.lowerBound
    while position < range.upperBound, block[position] == 0x20 { position += 1 }
    var value: Int64 = 0
    // At most 12 digits fit a field, so 36 bits.
    while position < range.upperBound, case let digit = block[position] &- 0x30, digit < 8 {
      value = value << 3 | Int64(digit)
      position += 1
    }
    while position < range.upperBound, block[position] == 0x20 { position += 1 }
    self = position == range.upperBound || block[position] == 0 ? .value(value) : .invalid
  }

  private init(base256 block: UnsafeRawBufferPointer, _ range: Range<Int>) {
    var value: Int64 = 0
    for position in range {
      guard value <= Int64.max >> 8 else {
        self = .tooLarge
        return
      }
      value = value << 8 | Int64(block[position])
    }
    self = .value(value)
  }

  /// Decimal digits and nothing else, as pax records and sparse maps hold them.
  init(decimal text: UnsafeRawBufferPointer) {
    var digits = text[...]
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits = digits.dropFirst() }
    guard !digits.isEmpty else {
      self = .invalid
      return
    }
    var value: Int64 = 0
    var fits = true
    for byte in digits {
      let digit = byte &- 0x30
      guard digit < 10 else {
        self = .invalid
        return
      }
      let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, carry) = tenfold.addingReportingOverflow(Int64(digit))
      fits = fits && !overflow && !carry
      value = fits ? next : 0
    }
    self = isNegative ? .negative : fits ? .value(value) : .tooLarge
  }
}

/// Sums over numbers that an archive states, which may leave the signed 64-bit range.
enum TarExtent {
  /// The end of data that begins at an offset, or nil where it cannot be stated.
  static func end(of sizeBytes: Int64, from offset: Int64) -> Int64? {
    let (end, overflow) = offset.addingReportingOverflow(sizeBytes)
    return overflow ? nil : end
  }

  /// The next block boundary at or after an offset.
  static func padded(_ offset: Int64) -> Int64? {
    let mask = Int64(TarHeader.blockBytes) - 1
    let (sum, overflow) = offset.addingReportingOverflow(mask)
    return overflow ? nil : sum & ~mask
  }
}
