import FoundationEssentials
import Remote
import ShardCache
import TarIndex

/// A few pictures out of a dataset, taken here and there.
struct Thumbnails {
  struct Picture: Sendable {
    let mediaType: String
    let base64: String
    let caption: String
  }

  /// Enough to see what it is about; a page of them is still a small file.
  private static let maxPictures = 12
  private static let maxBytes: Int64 = 1 << 20

  /// What browsers show and cannot be led astray by: no SVG.
  private static let mediaTypes = [
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp",
    "gif": "image/gif", "avif": "image/avif",
  ]

  /// A picture that was found in an index and is yet to be fetched.
  struct Candidate: Sendable {
    let shard: Int
    let range: Range<Int64>
    let mediaType: String
    let caption: String
  }

  /// Finds a picture in the middle of a shard, if it has one that can be had by its range.
  static func candidate(_ indexed: IndexedShard, ofShard number: Int) -> Candidate? {
    let index = indexed.index
    guard index.sampleCount > 0, !indexed.isInflated else { return nil }
    let sample = index.sampleCount / 2
    for ordinal in index.fieldOrdinals(ofSample: sample) {
      let name = index.withFieldName(ordinal) { String(decoding: $0, as: UTF8.self) }
      let ending = name.split(separator: ".").last.map(String.init) ?? ""
      let member = index.member(ordinal)
      guard let mediaType = mediaTypes[ending], !member.isSparse,
        (1...maxBytes).contains(member.sizeBytes)
      else { continue }
      let key = index.withKey(ofSample: sample) { PrintableName.text(Array($0)) }
      return Candidate(
        shard: number,
        range: member.dataOffset..<member.dataOffset + member.sizeBytes,
        mediaType: mediaType,
        caption: "\(key).\(PrintableName.text(name.utf8))"
      )
    }
    return nil
  }

  /// Fetches some of the pictures, spread over the dataset; one that cannot be had is left out.
  static func pictures(_ candidates: [Candidate], in open: OpenDataset) -> [Picture] {
    let ordered = candidates.sorted { $0.shard < $1.shard }
    let step = max(1, ordered.count / maxPictures)
    let chosen = stride(from: 0, to: ordered.count, by: step).prefix(maxPictures).map {
      ordered[$0]
    }
    let fetches = chosen.map { candidate in
      SmallFetch.start(candidate.range, of: open.dataset.shards[candidate.shard], in: open.store)
    }
    return zip(chosen, fetches).compactMap { candidate, fetch in
      guard let bytes = try? fetch.wait() else { return nil }
      return Picture(
        mediaType: candidate.mediaType,
        base64: Data(bytes).base64EncodedString(),
        caption: candidate.caption
      )
    }
  }
}
