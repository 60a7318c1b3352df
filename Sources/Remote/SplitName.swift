/// The name of a split, which is also that of its directory in the mount.
package struct SplitName: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Names that the mount's top directory needs for itself (design, section 3).
  package static let reserved = [".wdsfs", ".shards", ".streams", ".epochs", ".classes"]

  /// 1 to 255 bytes, without `/` and NUL, never `.`, `..` or a reserved name.
  package let bytes: [UInt8]

  /// A name as the user gives it, with `--split`.
  ///
  /// - Throws: `DatasetError.unusableName` where no directory can be called so.
  package init(given text: String) throws(DatasetError) {
    let bytes = Array(text.utf8)
    guard Self.isUsable(bytes) else { throw .unusableName(PrintableName.text(bytes)) }
    self.bytes = bytes
  }

  /// A name as it is found in the remote, spelled so that a directory can have it.
  ///
  /// What cannot be used as it is appears as `%%` and the name with `%`, NUL and `/` as `%25`,
  /// `%00` and `%2F`, as for fields (format page, section 6); a name too long is cut and ends in
  /// its length and a checksum.
  package init(found name: some Collection<UInt8>) {
    let name = Array(name)
    if Self.isUsable(name) {
      bytes = name
      return
    }
    var spelled = Array("%%".utf8)
    let isDots = name == [UInt8(ascii: ".")] || name == Array("..".utf8)
    for byte in name {
      switch byte {
      case UInt8(ascii: "%"): spelled += "%25".utf8
      case 0: spelled += "%00".utf8
      case UInt8(ascii: "/"): spelled += "%2F".utf8
      case UInt8(ascii: ".") where isDots: spelled += "%2E".utf8
      default: spelled.append(byte)
      }
    }
    if spelled.count > 255 {
      // FNV-1a: two names that are equal in their first 200 bytes get different directories.
      let sum = name.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { sum, byte in
        (sum ^ UInt64(byte)) &* 0x100_0000_01b3
      }
      spelled = Array(spelled.prefix(200)) + "-\(name.count)-\(String(sum, radix: 16))".utf8
    }
    bytes = spelled
  }

  package var description: String { PrintableName.text(bytes) }

  package static func < (left: SplitName, right: SplitName) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }

  private static func isUsable(_ name: [UInt8]) -> Bool {
    !name.isEmpty && name.count <= 255 && !name.contains(0) && !name.contains(UInt8(ascii: "/"))
      && name != Array(".".utf8) && name != Array("..".utf8) && !name.starts(with: "%%".utf8)
      && !reserved.contains { name == Array($0.utf8) }
  }
}
