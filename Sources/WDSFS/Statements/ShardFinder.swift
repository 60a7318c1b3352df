import Remote

/// Finds the shard that a count file means: by the name that it has itself, or by one that it gives.
struct ShardFinder {
  /// Shards by their keys up to the first dot of the name; -1 where several have the same.
  private var byStem: [ArraySlice<UInt8>: Int] = [:]
  private var byKey: [[UInt8]: Int] = [:]

  /// Shards by the last part of their keys.
  private var byName: [ArraySlice<UInt8>: [Int]] = [:]

  private let shards: [ObjectInfo]

  init(_ shards: [ObjectInfo]) {
    self.shards = shards
    byStem.reserveCapacity(shards.count)
    byKey.reserveCapacity(shards.count)
    for (number, shard) in shards.enumerated() {
      let key = shard.key.bytes
      byKey[key] = number
      byName[Self.name(key), default: []].append(number)
      let stem = Self.stem(key)
      byStem[stem] = byStem[stem] == nil ? number : -1
    }
  }

  /// The shard beside which a file lies, for example of `a/7.idx` or `a/7_stats.json`.
  ///
  /// - Parameters:
  ///   - key: The file's.
  ///   - ending: What the tool puts behind the shard's name, up to its first dot.
  /// - Returns: The shard's number; nil where there is none, or more than one.
  func shard(beside key: [UInt8], ending: String) -> Int? {
    guard key.count > ending.utf8.count, key.suffix(ending.utf8.count).elementsEqual(ending.utf8)
    else { return nil }
    guard let number = byStem[key.dropLast(ending.utf8.count)], number >= 0 else { return nil }
    return number
  }

  /// The shard that a list calls by a name: a key, a path or a URL.
  ///
  /// - Parameters:
  ///   - name: As the list has it.
  ///   - list: The list's own key: a name may be relative to its folder.
  /// - Returns: The shard's number; nil where there is none, or more than one that it may be.
  func shard(called name: String, inList list: [UInt8]) -> Int? {
    let bytes = Array(name.utf8)
    let folder = list.prefix(list.count - Self.name(list).count)
    if let number = byKey[folder + bytes] ?? byKey[bytes] { return number }
    let candidates = byName[Self.name(bytes)] ?? []
    if candidates.count == 1 { return candidates[0] }
    // The same name in several folders: the path must tell which.
    let path = bytes.split(separator: UInt8(ascii: "/"))
    var best: (shard: Int, parts: Int)?
    var isTie = false
    for candidate in candidates {
      let key = shards[candidate].key.bytes.split(separator: UInt8(ascii: "/"))
      let parts = zip(path.reversed(), key.reversed()).prefix { $0.elementsEqual($1) }.count
      if let known = best, parts <= known.parts {
        isTie = isTie || parts == known.parts
      } else {
        (best, isTie) = ((candidate, parts), false)
      }
    }
    return isTie ? nil : best?.shard
  }

  private static func name(_ key: [UInt8]) -> ArraySlice<UInt8> {
    key[((key.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...]
  }

  private static func stem(_ key: [UInt8]) -> ArraySlice<UInt8> {
    let name = name(key)
    // A name's first byte is never its extension's dot.
    let dot = name.dropFirst().firstIndex(of: UInt8(ascii: ".")) ?? name.endIndex
    return key[..<dot]
  }
}
