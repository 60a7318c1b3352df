import Glibc
import TestSupport

/// Bytes without a pattern that repeats, the same for the same seed; eight at a time, since tests
/// want tens of megabytes of them from a debug build.
func testBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    var generator = SeededGenerator(seed: seed)
    let raw = UnsafeMutableRawBufferPointer(buffer)
    var offset = 0
    while offset + 8 <= count {
      raw.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
      offset += 8
    }
    while offset < count {
      raw[offset] = UInt8(truncatingIfNeeded: generator.next())
      offset += 1
    }
    initialized = count
  }
}

/// Whether two stretches of bytes are equal, at the speed of memory.
func isSame(_ bytes: [UInt8], _ expected: ArraySlice<UInt8>) -> Bool {
  guard bytes.count == expected.count else { return false }
  return bytes.withUnsafeBytes { left in
    expected.withUnsafeBytes { right in
      guard let left = left.baseAddress, let right = right.baseAddress else { return true }
      return memcmp(left, right, bytes.count) == 0
    }
  }
}
