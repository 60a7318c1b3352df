import Crypto

extension SampleName {
  /// The longest file name that Linux takes, and what a scratch buffer for one must hold.
  package static let maxFileNameBytes = 255

  private static let digestMark: StaticString = "%%sha256-"
  private static let digestNameBytes = 9 + 64

  /// Writes the name that stands in a directory for some bytes: the bytes, where they can be a name.
  ///
  /// Otherwise they are escaped behind `%%`, or shown by their SHA-256 where that is too long. The
  /// mapping is one-to-one. The bytes come in two pieces, so that a key's end, a dot and a field
  /// need not be joined first.
  ///
  /// - Parameters:
  ///   - head: The first bytes.
  ///   - tail: The bytes after those.
  ///   - scratch: Takes the name; at least `maxFileNameBytes`.
  ///   - maxBytes: The longest name; less than a file name may have where something is to follow.
  /// - Returns: The name's length.
  package static func writeFileName(
    _ head: UnsafeRawBufferPointer,
    _ tail: UnsafeRawBufferPointer,
    into scratch: UnsafeMutableRawBufferPointer,
    maxBytes: Int = maxFileNameBytes
  ) -> Int {
    precondition(scratch.count >= maxFileNameBytes, "scratch of \(scratch.count) bytes")
    let (count, overflow) = head.count.addingReportingOverflow(tail.count)
    if !overflow, count <= maxBytes {
      UnsafeMutableRawBufferPointer(rebasing: scratch[..<head.count]).copyMemory(from: head)
      UnsafeMutableRawBufferPointer(rebasing: scratch[head.count..<count]).copyMemory(from: tail)
      if isPlain(UnsafeRawBufferPointer(rebasing: scratch[..<count])) { return count }
    }
    var writer = EscapeWriter(scratch: scratch, maxBytes: maxBytes)
    let isDots =
      (1...2).contains(count) && head.allSatisfy { $0 == UInt8(ascii: ".") }
      && tail.allSatisfy { $0 == UInt8(ascii: ".") }
    let fits =
      writer.write(head, escapesDots: isDots) && writer.write(tail, escapesDots: isDots)
    return fits ? writer.count : writeDigestName(head, tail, into: scratch)
  }

  /// Whether bytes are used as a file name as they are.
  static func isPlain(_ name: UnsafeRawBufferPointer) -> Bool {
    guard (1...maxFileNameBytes).contains(name.count) else { return false }
    if name[0] == UInt8(ascii: ".") {
      if name.count == 1 || (name.count == 2 && name[1] == UInt8(ascii: ".")) { return false }
    } else if name[0] == UInt8(ascii: "%"), name.count >= 2, name[1] == UInt8(ascii: "%") {
      return false
    }
    return name.allSatisfy { $0 != 0 && $0 != UInt8(ascii: "/") }
  }

  private static func writeDigestName(
    _ head: UnsafeRawBufferPointer,
    _ tail: UnsafeRawBufferPointer,
    into scratch: UnsafeMutableRawBufferPointer
  ) -> Int {
    var hash = SHA256()
    hash.update(bufferPointer: head)
    hash.update(bufferPointer: tail)
    let mark = UnsafeRawBufferPointer(start: digestMark.utf8Start, count: 9)
    UnsafeMutableRawBufferPointer(rebasing: scratch[..<9]).copyMemory(from: mark)
    var position = 9
    for byte in hash.finalize() {
      scratch[position] = hexDigit(byte >> 4, from: UInt8(ascii: "a"))
      scratch[position + 1] = hexDigit(byte & 15, from: UInt8(ascii: "a"))
      position += 2
    }
    return digestNameBytes
  }

  /// Whether a file name has the form of one that shows a digest.
  package static func isDigestName(_ fileName: UnsafeRawBufferPointer) -> Bool {
    fileName.count == digestNameBytes
      && UnsafeRawBufferPointer(rebasing: fileName[..<9]).equals(digestMark)
  }

  /// Takes a file name that shows no digest back to the bytes that it stands for.
  ///
  /// The mapping is one-to-one: a spelling that `writeFileName` does not make stands for nothing.
  ///
  /// - Parameters:
  ///   - fileName: As found.
  ///   - scratch: Takes the bytes; at least `maxFileNameBytes`.
  /// - Returns: Their count; nil where no bytes are written so.
  package static func readFileName(
    _ fileName: UnsafeRawBufferPointer,
    into scratch: UnsafeMutableRawBufferPointer
  ) -> Int? {
    if isPlain(fileName) {
      scratch.copyMemory(from: fileName)
      return fileName.count
    }
    guard fileName.starts(with: "%%".utf8), let count = unescape(fileName, into: scratch) else {
      return nil
    }
    return withUnsafeTemporaryAllocation(byteCount: maxFileNameBytes, alignment: 1) { again in
      let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
      let name = UnsafeRawBufferPointer(rebasing: scratch[..<count])
      let written = writeFileName(nothing, name, into: again)
      return UnsafeRawBufferPointer(rebasing: again[..<written]).equals(fileName) ? count : nil
    }
  }

  /// Takes an escaped file name back to the bytes that it stands for.
  ///
  /// - Parameters:
  ///   - fileName: Begins with `%%`, and has at most `maxFileNameBytes`.
  ///   - scratch: Takes the bytes; at least `maxFileNameBytes`.
  /// - Returns: Their count; nil where no bytes are written so.
  private static func unescape(
    _ fileName: UnsafeRawBufferPointer,
    into scratch: UnsafeMutableRawBufferPointer
  ) -> Int? {
    guard fileName.count <= maxFileNameBytes, scratch.count >= maxFileNameBytes else { return nil }
    var count = 0
    var position = 2
    while position < fileName.count {
      var byte = fileName[position]
      position += 1
      if byte == UInt8(ascii: "%") {
        guard position + 2 <= fileName.count else { return nil }
        switch (fileName[position], fileName[position + 1]) {
        case (UInt8(ascii: "2"), UInt8(ascii: "5")): byte = UInt8(ascii: "%")
        case (UInt8(ascii: "2"), UInt8(ascii: "F")): byte = UInt8(ascii: "/")
        case (UInt8(ascii: "2"), UInt8(ascii: "E")): byte = UInt8(ascii: ".")
        case (UInt8(ascii: "0"), UInt8(ascii: "0")): byte = 0
        default: return nil
        }
        position += 2
      }
      scratch[count] = byte
      count += 1
    }
    return count
  }

  static func hexDigit(_ value: UInt8, from ten: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : ten + value - 10
  }
}

/// Writes `%%` and a name with its special bytes as `%HH`, as long as that fits a file name.
private struct EscapeWriter {
  let scratch: UnsafeMutableRawBufferPointer
  let maxBytes: Int
  private(set) var count = 2

  init(scratch: UnsafeMutableRawBufferPointer, maxBytes: Int) {
    self.scratch = scratch
    self.maxBytes = maxBytes
    scratch[0] = UInt8(ascii: "%")
    scratch[1] = UInt8(ascii: "%")
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer, escapesDots: Bool) -> Bool {
    for byte in bytes {
      let isSpecial =
        byte == 0 || byte == UInt8(ascii: "%") || byte == UInt8(ascii: "/")
        || (escapesDots && byte == UInt8(ascii: "."))
      let width = isSpecial ? 3 : 1
      guard count + width <= maxBytes else { return false }
      if isSpecial {
        scratch[count] = UInt8(ascii: "%")
        scratch[count + 1] = SampleName.hexDigit(byte >> 4, from: UInt8(ascii: "A"))
        scratch[count + 2] = SampleName.hexDigit(byte & 15, from: UInt8(ascii: "A"))
      } else {
        scratch[count] = byte
      }
      count += width
    }
    return true
  }
}
