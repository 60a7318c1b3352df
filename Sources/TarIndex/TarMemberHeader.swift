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
    if !records.isEmpty {
      bytes += Self.block(
        prefix: [],
        name: Array("PaxHeader".utf8),
        size: Int64(records.count),
        time: 0,
        type: UInt8(ascii: "x")
      )
      bytes += records
      bytes += [UInt8](repeating: 0, count: Self.paddingBytes(after: Int64(records.count)))
    }
    let (prefix, last) = place ?? ([], Array(name.prefix(Self.maxNameBytes)))
    bytes += Self.block(
      prefix: prefix,
      name: last,
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
  private static func place(_ name: [UInt8]) -> (prefix: [UInt8], last: [UInt8])? {
    guard !name.contains(0), !name.isEmpty else { return nil }
    if name.count <= maxNameBytes { return ([], name) }
    guard name.count <= maxPrefixBytes + 1 + maxNameBytes else { return nil }
    let slash = name.indices.first { place in
      name[place] == UInt8(ascii: "/") && name.count - place - 1 <= maxNameBytes
    }
    guard let slash, (1...maxPrefixBytes).contains(slash), slash + 1 < name.count else {
      return nil
    }
    return (Array(name[..<slash]), Array(name[(slash + 1)...]))
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

  private static func block(
    prefix: [UInt8],
    name: [UInt8],
    size: Int64,
    time: Int64,
    type: UInt8
  ) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ text: some Collection<UInt8>, at offset: Int) {
      block.replaceSubrange(offset..<offset + text.count, with: text)
    }
    put(name, at: 0)
    put("0000444".utf8, at: 100)
    put("0000000".utf8, at: 108)
    put("0000000".utf8, at: 116)
    put(octal(size, digits: 11), at: 124)
    put(octal(time, digits: 11), at: 136)
    put("        ".utf8, at: 148)
    block[156] = type
    put("ustar\u{0}00".utf8, at: 257)
    put(prefix, at: 345)
    let sum = block.reduce(0) { $0 + Int64($1) }
    put(octal(sum, digits: 6) + [0], at: 148)
    return block
  }

  private static func octal(_ value: Int64, digits: Int) -> [UInt8] {
    let text = Array(String(value, radix: 8).utf8)
    return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text
  }
}
