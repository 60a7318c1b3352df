import Glibc

private func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawPointer) -> Int32 {
  guard let base = left.baseAddress else { return 0 }
  return memcmp(base, right, left.count)
}

extension UnsafeRawBufferPointer {
  /// Whether these are the bytes of a literal.
  func equals(_ literal: StaticString) -> Bool {
    count == literal.utf8CodeUnitCount
      && (count == 0 || compareBytes(self, literal.utf8Start) == 0)
  }

  /// Whether these are the same bytes as those.
  func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let theirs = other.baseAddress else { return true }
    return count == 0 || compareBytes(self, theirs) == 0
  }

  /// Whether there is nothing but zero bytes.
  var isZero: Bool {
    guard let base = baseAddress, count > 0 else { return true }
    // Each byte equals the one before it, and the first is zero.
    return self[0] == 0 && memcmp(base, base + 1, count - 1) == 0
  }

  /// Whether these bytes come before those, byte by byte.
  func precedes(_ other: UnsafeRawBufferPointer) -> Bool {
    let common = Swift.min(count, other.count)
    if common > 0, let theirs = other.baseAddress {
      let order = compareBytes(UnsafeRawBufferPointer(rebasing: self[..<common]), theirs)
      if order != 0 { return order < 0 }
    }
    return count < other.count
  }
}

extension [UInt8] {
  /// Appends a number's bytes, the lowest first.
  mutating func append(littleEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }

  /// Appends the lowest bytes of a number, the lowest first.
  mutating func append(lowest count: Int, of number: UInt64) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0[..<count]) }
  }
}

extension UnsafeRawBufferPointer {
  /// The number whose bytes lie here, the lowest first.
  func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number {
    Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}
