/// What the name of an object says: whether it is a shard, and of which run of shards.
package enum ShardName {
  /// Format page, section 2; the content decides how a shard is read, never the name.
  package static let suffixes: [[UInt8]] = [
    ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.lz4", ".tar.bz2", ".tar.xz",
  ].map { Array($0.utf8) }

  /// Whether the object is a shard, by the end of its key; ASCII case does not count.
  package static func isShard(_ key: some BidirectionalCollection<UInt8>) -> Bool {
    suffix(of: key) != nil
  }

  /// The name up to its shard number, for example `imagenet-train` of
  /// `imagenet-train-000042.tar`; empty where the name begins with the number.
  ///
  /// The number is the last part between `-`, `_` and `.`, if that is all digits (before `-of-` and
  /// a count, where these follow); else the last such part of five digits or with a leading zero;
  /// else the digits at the very end. A name without any is its own.
  package static func stem(of name: some BidirectionalCollection<UInt8>) -> [UInt8] {
    let whole = Array(name.dropLast(suffix(of: name)?.count ?? 0))
    var stem = whole
    stem.trimDigits()
    if stem.count < whole.count, stem.hasSuffix("-of-") || stem.hasSuffix("_of_") {
      let beforeCount = Array(stem.dropLast(4))
      var beforeNumber = beforeCount
      beforeNumber.trimDigits()
      if beforeNumber.count < beforeCount.count { stem = beforeNumber }
    } else if let last = stem.last, !isSeparator(last), let inner = innerNumber(in: whole) {
      stem = Array(whole[..<inner])
    }
    while let last = stem.last, isSeparator(last) { stem.removeLast() }
    return stem
  }

  private static func suffix(of key: some BidirectionalCollection<UInt8>) -> [UInt8]? {
    suffixes.first { suffix in
      key.count >= suffix.count
        && zip(key.reversed(), suffix.reversed()).allSatisfy { byte, wanted in
          let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
          return (isUpper ? byte | 0x20 : byte) == wanted
        }
    }
  }

  /// Where the last part begins that can only be a shard number.
  private static func innerNumber(in stem: [UInt8]) -> Int? {
    stem.split(omittingEmptySubsequences: false, whereSeparator: isSeparator).last { part in
      part.allSatisfy(isDigit)
        && (part.count >= 5 || part.count >= 2 && part.first == UInt8(ascii: "0"))
    }?.startIndex
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
  }

  fileprivate static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
}

extension [UInt8] {
  fileprivate mutating func trimDigits() {
    while let last, ShardName.isDigit(last) { removeLast() }
  }

  fileprivate func hasSuffix(_ text: String) -> Bool {
    suffix(text.utf8.count).elementsEqual(text.utf8)
  }
}
