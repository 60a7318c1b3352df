/// Writes what stands before a member's data, so that a sample can be handed out as a tar again.
///
/// POSIX ustar Interchange Format; a pax header goes before it where a name, a size or a time does not
/// fit (POSIX pax, pax Header File Format).
package struct TarMemberHeader: Sendable {
  private static let maxNameBytes = 100
  private static let maxPrefixBytes = 155

  /// Eleven octal digits.
  private static let maxOctal: Int64 = 0o777_7777_7777

  /// The header blocks: one, or three and more with a pax header.
  package let bytes: [UInt8]

  /// - Parameters:
  ///   - name: Key, dot and field, as bytes.
  ///   - sizeBytes: Of the data.
  ///   - modifiedSeconds: Since 1970.
  package init(name: [UInt8], sizeBytes: Int64, modifiedSeconds: Int64) {
    var records: [UInt8] = []
    let place = Self.place(name)
    if place == nil { records += Self.record("path", name) }
    if sizeBytes > Self.maxOctal { records += Self.record("size", Array(String(sizeBytes).utf8)) }
    if !(0...Self.maxOctal).contains(modifiedSeconds) {
      records += Self.record("mtime", Array(String(modifiedSeconds).utf8))
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(records.isEmpty ? 512 : 1536 + records.count)
    if !records.isEmpty {
      let name = Array("PaxHeader".utf8)
      Self.append(
        to: &bytes,
        name: name[...],
        size: Int64(records.count),
        time: 0,
        type: UInt8(ascii: "x")
      )
      bytes += records
      bytes += repeatElement(0, count: Self.paddingBytes(after: Int64(records.count)))
    }
    Self.append(
      to: &bytes,
      prefix: place?.prefix ?? [],
      name: place?.last ?? name.prefix(Self.maxNameBytes),
      size: min(sizeBytes, Self.maxOctal),
      time: min(max(0, modifiedSeconds), Self.maxOctal),
      type: UInt8(ascii: "0")
    )
    self.bytes = bytes
  }

  /// The zero bytes that fill up the last block of a member's data.
  package static func paddingBytes(after sizeBytes: Int64) -> Int {
    Int((512 - sizeBytes % 512) % 512)
  }

  /// What ends an archive: two blocks of zeros.
  package static let endBytes = 1024

  /// Splits a name at a slash so that both parts fit; nil where none does, or a NUL would end it.
  private static func place(
    _ name: [UInt8]
  ) -> (prefix: ArraySlice<UInt8>, last: ArraySlice<UInt8>)? {
    guard !name.contains(0), !name.isEmpty else { return nil }
    if name.count <= maxNameBytes { return ([], name[...]) }
    guard name.count <= maxPrefixBytes + 1 + maxNameBytes else { return nil }
    let slash = name.indices.first { place in
      name[place] == UInt8(ascii: "/") && name.count - place - 1 <= maxNameBytes
    }
    guard let slash, (1...maxPrefixBytes).contains(slash), slash + 1 < name.count else {
      return nil
    }
    return (name[..<slash], name[(slash + 1)...])
  }

  /// `LENGTH KEYWORD=VALUE`, whose length counts its own digits.
  private static func record(_ keyword: String, _ value: [UInt8]) -> [UInt8] {
    let rest = Array(" \(keyword)=".utf8) + value + Array("\n".utf8)
    var length = rest.count + 1
    while String(length).utf8.count + rest.count != length {
      length = String(length).utf8.count + rest.count
    }
    return Array(String(length).utf8) + rest
  }

  /// What is the same in each block: a mode that lets all read, root as the owner, the format's mark,
  /// and spaces in place of the sum.
  private static let blank: [UInt8] = {
    var block = [UInt8](repeating: 0, count: 512)
    for (text, offset) in [
      ("0000444", 100), ("0000000", 108), ("0000000", 116), ("        ", 148),
      ("ustar\u{0}00", 257),
    ] {
      block.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
    }
    return block
  }()

  private static func append(
    to bytes: inout [UInt8],
    prefix: ArraySlice<UInt8> = [],
    name: ArraySlice<UInt8>,
    size: Int64,
    time: Int64,
    type: UInt8
  ) {
    let start = bytes.count
    bytes += blank
    bytes.withUnsafeMutableBytes { all in
      let block = UnsafeMutableRawBufferPointer(rebasing: all[start...])
      block.copyBytes(from: name)
      UnsafeMutableRawBufferPointer(rebasing: block[345...]).copyBytes(from: prefix)
      put(size, digits: 11, at: 124, in: block)
      put(time, digits: 11, at: 136, in: block)
      block[156] = type
      // At most 512 × 255; unchecked, so that it is done many bytes at a time.
      var sum: UInt32 = 0
      for byte in block { sum &+= UInt32(byte) }
      put(Int64(sum), digits: 6, at: 148, in: block)
      block[154] = 0
    }
  }

  /// Writes an octal number that has at most so many digits.
  private static func put(
    _ value: Int64,
    digits: Int,
    at offset: Int,
    in block: UnsafeMutableRawBufferPointer
  ) {
    var rest = value
    for place in (offset..<offset + digits).reversed() {
      block[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest & 7)
      rest >>= 3
    }
  }
}
