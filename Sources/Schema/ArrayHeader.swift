/// What stands before an array's elements in a `.npy` file.
///
/// By NumPy's "npy format", version 1.0: a dictionary in Python's notation, padded so that the
/// elements begin at a multiple of 64 bytes. Elements are little-endian and in C order.
struct ArrayHeader {
  enum ElementType: String {
    case bool = "|b1"
    case uint8 = "|u1"
    case int64 = "<i8"
    case float64 = "<f8"
  }

  let type: ElementType

  /// From the slowest index to the fastest; empty for a number.
  let shape: [Int]

  var bytes: [UInt8] {
    let edges =
      shape.count == 1
      ? "(\(shape[0]),)" : "(" + shape.map { "\($0)" }.joined(separator: ", ") + ")"
    let text = "{'descr': '\(type.rawValue)', 'fortran_order': False, 'shape': \(edges), }"
    // Ten bytes of preamble, and a line end behind the blanks.
    let used = 10 + text.utf8.count + 1
    let total = (used + 63) / 64 * 64
    let length = UInt16(clamping: total - 10)
    var bytes: [UInt8] = [0x93]
    bytes.reserveCapacity(total)
    bytes += "NUMPY".utf8
    bytes += [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
    bytes += text.utf8
    bytes += repeatElement(UInt8(ascii: " "), count: total - used)
    bytes.append(UInt8(ascii: "\n"))
    return bytes
  }

  /// Puts a header before numbers of eight bytes.
  static func array<Number: FixedWidthInteger>(
    _ type: ElementType,
    shape: [Int],
    _ numbers: some Sequence<Number>
  ) -> [UInt8] {
    var bytes = ArrayHeader(type: type, shape: shape).bytes
    for number in numbers {
      withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }
    return bytes
  }
}
