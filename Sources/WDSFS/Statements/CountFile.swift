import Decompression
import FoundationEssentials
import TarIndex

/// The files of other tools that say how many samples shards hold, and how each is read.
///
/// What is in them is foreign: a file that does not make sense states nothing.
enum CountFile {
  /// One shard's count; the size is that of the shard as the file has it, nil where it says none.
  struct Count: Hashable {
    let samples: Int
    let shardBytes: Int64?
  }

  /// A count for a shard that the file names in its own way.
  struct Named: Hashable {
    let name: String
    let count: Count
  }

  /// A list of 200,000 shards takes about 30 MB.
  static let maxListBytes: Int64 = 64 << 20

  /// What is unpacked of a compressed list.
  private static let maxUnpackedBytes: Int64 = 256 << 20

  /// `wds2idx` (NVIDIA DALI) writes `v1.2 COUNT` in the first line of `NAME.idx`.
  static func dali(_ firstBytes: [UInt8]) -> Count? {
    guard let end = firstBytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let words = String(decoding: firstBytes[..<end], as: UTF8.self).split(separator: " ")
    guard words.count == 2, ["v1.1", "v1.2"].contains(words[0]) else { return nil }
    return number(Int(words[1])).map { Count(samples: $0, shardBytes: nil) }
  }

  /// `img2dataset` writes the samples of `NAME.tar` as `successes` into `NAME_stats.json`.
  static func img2dataset(_ bytes: [UInt8]) -> Count? {
    struct Statistics: Decodable {
      let successes: Int
    }
    let found = try? JSONDecoder().decode(Statistics.self, from: Data(bytes))
    return number(found?.successes).map { Count(samples: $0, shardBytes: nil) }
  }

  /// `webshart` writes the members of `NAME.tar` with their offsets into `NAME.json`, as an object or
  /// as a list; members in a row with one key are a sample.
  static func webshart(_ bytes: [UInt8]) -> Count? {
    let decoder = JSONDecoder()
    let data = Data(bytes)
    var members: [(name: String, offset: Int64)] = []
    var shardBytes: Int64?
    if let table = try? decoder.decode(WebshartTable.self, from: data) {
      shardBytes = table.filesize
      members = table.files.map { ($0.key, $0.value.offset) }
    } else if let list = try? decoder.decode(WebshartList.self, from: data) {
      shardBytes = list.filesize
      for member in list.files {
        guard let name = member.path ?? member.fname ?? member.filename else { return nil }
        members.append((name, member.offset))
      }
    } else {
      return nil
    }
    var samples = 0
    var last: [UInt8]?
    for member in members.sorted(by: { $0.offset < $1.offset }) {
      let name = Array(member.name.utf8)
      guard case .field(let keyBytes) = name.withUnsafeBytes({ SampleName.split($0) }) else {
        continue
      }
      let key = Array(name.prefix(keyBytes))
      if key != last { samples += 1 }
      last = key
    }
    return Count(samples: samples, shardBytes: shardBytes == 0 ? nil : shardBytes)
  }

  /// `widsindex` lists the shards of a dataset with their counts as `wids-shard-index-v1`.
  static func wids(_ bytes: [UInt8]) -> [Named]? {
    guard let index = try? JSONDecoder().decode(WIDSIndex.self, from: Data(bytes)),
      index.kind == WIDSIndex.kindName
    else { return nil }
    return index.shardlist.compactMap { shard in
      guard let samples = number(shard.nsamples) else { return nil }
      return Named(name: shard.url, count: Count(samples: samples, shardBytes: shard.filesize))
    }
  }

  /// Whether a JSON file may be a list of wids, by its beginning.
  static func beginsWIDS(_ firstBytes: [UInt8]) -> Bool {
    let text = String(decoding: firstBytes, as: UTF8.self)
    return text.contains(WIDSIndex.kindName) || text.contains("\"shardlist\"")
  }

  /// `streaming-wds` lists the shards of a dataset with their counts in `index.wds`, packed by gzip.
  static func streamingWDS(_ bytes: [UInt8]) -> [Named]? {
    struct Index: Decodable {
      let shards: [Shard]

      struct Shard: Decodable {
        let key: String
        let samples: Int

        private enum CodingKeys: String, CodingKey {
          case key
          case samples = "num_samples"
        }
      }
    }
    guard let text = unpacked(bytes),
      let index = try? JSONDecoder().decode(Index.self, from: Data(text))
    else { return nil }
    return index.shards.compactMap { shard in
      number(shard.samples).map {
        Named(name: shard.key, count: Count(samples: $0, shardBytes: nil))
      }
    }
  }

  private static func unpacked(_ bytes: [UInt8]) -> [UInt8]? {
    guard bytes.starts(with: [0x1F, 0x8B]) else { return nil }
    var text: [UInt8] = []
    do throws(DecompressionError) {
      let decompressor = try Decompressor(.gzip, maxOutputBytes: maxUnpackedBytes)
      let result = bytes.withUnsafeBytes { input in
        Result { () throws(DecompressionError) in
          try decompressor.decompress(input) { text += $0 }
        }
      }
      try result.get()
      try decompressor.finish()
    } catch {
      return nil
    }
    return text
  }

  private static func number(_ count: Int?) -> Int? {
    guard let count, (0..<1 << 32).contains(count) else { return nil }
    return count
  }
}

private struct WIDSIndex: Decodable {
  static let kindName = "wids-shard-index-v1"

  let kind: String
  let shardlist: [Shard]

  struct Shard: Decodable {
    let url: String
    let nsamples: Int
    let filesize: Int64?
  }

  private enum CodingKeys: String, CodingKey {
    case kind = "__kind__"
    case shardlist
  }
}

private struct WebshartTable: Decodable {
  let filesize: Int64?
  let files: [String: Member]

  struct Member: Decodable {
    let offset: Int64
  }
}

private struct WebshartList: Decodable {
  let filesize: Int64?
  let files: [Member]

  struct Member: Decodable {
    let path: String?
    let fname: String?
    let filename: String?
    let offset: Int64
  }
}
