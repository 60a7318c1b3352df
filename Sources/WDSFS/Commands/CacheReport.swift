import Glibc
import Remote
import ShardCache

/// What a cache directory holds.
struct CacheReport: Encodable {
  let version = 1
  let path: String
  let chunkBytes: Int64
  let shards: Int
  let indexBytes: Int64
  let indexes: Int
  let freeBytes: Int64?

  /// Seconds since 1970 at which the shard was used that was used longest ago; nil of none.
  let oldestUse: Int?

  /// Of each mount that uses it now.
  let mountLimits: [Int64]
  var splits: [Split]?

  struct Split: Encodable {
    let name: String
    let shards: Int
    let bytes: Int64
    let shardsThere: Int
    let bytesThere: Int64
    let indexesThere: Int
  }

  init(path: String, _ contents: CacheContents?) {
    self.path = path
    chunkBytes = contents?.chunkBytes ?? 0
    shards = contents?.entries.count ?? 0
    indexBytes = contents?.indexBytes ?? 0
    indexes = contents?.indexed.count ?? 0
    freeBytes = CacheDirectory.freeBytes(at: path)
    oldestUse = contents?.entries.values.map(\.usedSeconds).min()
    mountLimits = contents?.mountLimits ?? []
  }

  static func splits(of listed: ListedRemote, in contents: CacheContents?) -> [Split] {
    listed.dataset.splits.map { split in
      let objects = split.shards.map { listed.dataset.shards[$0] }
      let names = objects.map { CacheContents.Name(of: $0, storeIdentity: listed.store.identity) }
      let there = names.compactMap { contents?.entries[$0] }
      return Split(
        name: split.name.description,
        shards: objects.count,
        bytes: objects.lazy.map(\.sizeBytes).sum,
        shardsThere: there.count,
        bytesThere: there.map(\.bytes).sum,
        indexesThere: names.count { contents?.indexed.contains($0) == true }
      )
    }
  }

  func text(_ terminal: Terminal) -> String {
    var text = PrintableText.oneLine(path) + "\n"
    var held = "\(SizeText.bytes(chunkBytes)) of \(NumberText.counted(shards, "shard"))"
    held += ", \(SizeText.bytes(indexBytes)) of \(NumberText.counted(indexes, "index", "indexes"))"
    if let freeBytes { held += ", \(SizeText.bytes(freeBytes)) free on the disk" }
    text += terminal.line(held, indent: "  ")
    if let oldestUse {
      let age = max(0, time(nil) - oldestUse)
      text += "  the oldest was used \(SizeText.clock(seconds: Double(age))) ago\n"
    }
    for limit in mountLimits {
      let words = limit == Int64.max ? "clearing it" : "with a limit of \(SizeText.bytes(limit))"
      text += "  a mount uses it, \(words)\n"
    }
    guard let splits else { return text }
    var table = TextTable([
      .left("split"), .left("there"), .right(""), .right("shards", weight: 2),
      .right("indexes", weight: 1),
    ])
    for split in splits {
      let there = min(split.bytesThere, split.bytes)
      table.add([
        PrintableText.oneLine(split.name),
        NumberText.bar(Int(there), of: Int(split.bytes), width: terminal.isNarrow ? 10 : 20),
        "\(SizeText.bytes(there)) of \(SizeText.bytes(split.bytes))",
        "\(NumberText.grouped(split.shardsThere)) of \(NumberText.grouped(split.shards))",
        NumberText.grouped(split.indexesThere),
      ])
    }
    return text + table.text(indent: "  ", room: terminal.room)
  }
}
