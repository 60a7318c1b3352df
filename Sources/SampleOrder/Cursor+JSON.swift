import FoundationEssentials

extension Cursor {
  /// No cursor is larger, and nothing larger is looked into: 65,536 ranks with some gaps each.
  package static let maxBytes = 32 * 1024 * 1024

  private static let maxLegs = 10_000

  /// So many gaps a leg may have, lest a bitmap of a few megabytes unfold to gigabytes.
  private static let maxRanges = 1 << 23

  /// As many as `--samples` takes.
  private static let allowedLengths = 0...(1 << 46)

  /// Reads a cursor file.
  ///
  /// - Parameter bytes: The whole file; anybody may have written it.
  /// - Throws: `CursorError`.
  package init(decoding bytes: [UInt8]) throws(CursorError) {
    guard bytes.count <= Self.maxBytes else {
      throw .tooLarge(sizeBytes: bytes.count, maxBytes: Self.maxBytes)
    }
    guard !bytes.isEmpty else { throw .damaged("it is empty") }
    let data = Data(bytes)
    let head: Head
    do {
      head = try JSONDecoder().decode(Head.self, from: data)
    } catch {
      throw .damaged("it is not the JSON of a cursor")
    }
    guard head.format == Self.formatName else { throw .damaged("it is not a cursor of wdsfs") }
    guard head.version <= Self.formatVersion else {
      throw .newerFormat(found: head.version, known: Self.formatVersion)
    }
    guard let end = Self.checksumPlace(bytes) else { throw .damaged("it ends early") }
    let checksum = Self.checksum(bytes[..<end])
    guard head.checksum == checksum else {
      throw .damaged("its checksum is \(head.checksum), that of its text \(checksum)")
    }
    guard head.order == Self.orderVersion else {
      throw .otherOrder(found: head.order, known: Self.orderVersion)
    }
    let document: Document
    do {
      document = try JSONDecoder().decode(Document.self, from: data)
    } catch {
      throw .damaged("a field is missing or of another kind")
    }
    try self.init(document)
  }

  /// The cursor as JSON for people: a line a rank.
  package func encoded() -> [UInt8] {
    var text = """
      {
        "format": "\(Self.formatName)",
        "version": \(Self.formatVersion),
        "order": \(Self.orderVersion),
        "sequence": \(sequence),
        "seed": \(seed),
        "shuffle": "\(shuffle.rawValue)",
        "shuffleWindow": \(shuffleWindow),
        "equalize": \(equalize.map { "\"\($0.rawValue)\"" } ?? "null"),
        "lanes": \(lanesAsked.map { String($0) } ?? "null"),
        "ranks": \(ranks.map { "\($0)" } ?? "null"),
        "splits": {
      """
    var separator = "\n"
    for (name, split) in splits.sorted(by: { $0.key < $1.key }) {
      text += separator + Self.text(of: split, named: name)
      separator = ",\n"
    }
    text += "\n  },\n  "
    let checksum = Self.checksum(Array(text.utf8)[...])
    text += "\"checksum\": \"\(checksum)\"\n}\n"
    return Array(text.utf8)
  }

  private static let formatName = "wdsfs cursor"

  private static func text(of split: SplitCursor, named name: String) -> String {
    let legs = (split.earlier + [split.present]).map(text(of:)).joined(separator: ",\n")
    let counts = split.counts.shardCount > 0 ? "\n      \"counts\": \"\(split.counts.text)\"," : ""
    return """
          \(quoted(name)): {
            "fingerprint": \(quoted(split.fingerprint)),
            "partition": "\(split.partition.rawValue)",
            "skippedShards": \(split.skippedShards),\(counts)
            "legs": [
      \(legs)
            ]
          }
      """
  }

  private static func text(of leg: Leg) -> String {
    let progress = leg.ranks.map { "            \"\(ProgressText.encode($0))\"" }
    let commits = leg.ranks.enumerated().compactMap { rank, progress in
      progress.committedAt.map { "\"\(rank)\": \($0)" }
    }
    let lengths = leg.ranks.enumerated().compactMap { rank, progress in
      progress.length.map { "\"\(rank)\": \($0)" }
    }
    let known =
      lengths.isEmpty ? "" : "\n          \"lengths\": {\(lengths.joined(separator: ", "))},"
    return """
              {
                "worldSize": \(leg.worldSize),
                "lanes": \(leg.lanes),
                "committed": {\(commits.joined(separator: ", "))},\(known)
                "progress": [
      \(progress.joined(separator: ",\n"))
                ]
              }
      """
  }

  /// A JSON string, of ASCII only.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for unit in text.utf16 {
      switch unit {
      case 0x22, 0x5C:
        quoted += "\\" + String(UnicodeScalar(UInt8(unit)))
      case 0x20..<0x7F:
        quoted += String(UnicodeScalar(UInt8(unit)))
      default:
        let digits = String(unit, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return quoted + "\""
  }

  // MARK: Checksum

  /// Where the line of the checksum begins, which covers all before it.
  private static func checksumPlace(_ bytes: [UInt8]) -> Int? {
    let tail = Array("\"checksum\": \"0123456789abcdef\"\n}\n".utf8)
    guard bytes.count >= tail.count else { return nil }
    let place = bytes.count - tail.count
    let word = "\"checksum\": \"".utf8
    return bytes[place...].starts(with: word) && bytes.suffix(4).elementsEqual("\"\n}\n".utf8)
      ? place : nil
  }

  /// FNV-1a of 64 bits: finds what is torn or edited, and guards against nobody's malice.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  // MARK: What is read

  private struct Head: Decodable {
    let format: String
    let version: Int
    let order: Int
    let checksum: String
  }

  private struct Document: Decodable {
    let sequence: Int
    let seed: UInt64
    let shuffle: String
    let shuffleWindow: Int
    let equalize: String?
    let lanes: Int?
    let ranks: [Int]?
    let splits: [String: Split]

    struct Split: Decodable {
      let fingerprint: String
      let partition: String
      let skippedShards: [Int]

      /// Where some were known.
      let counts: String?
      let legs: [Leg]
    }

    struct Leg: Decodable {
      let worldSize: Int
      let lanes: Int
      let committed: [String: Int64]

      /// Of the epochs whose length was known.
      let lengths: [String: Int]?
      let progress: [String]
    }
  }

  private init(_ document: Document) throws(CursorError) {
    guard let shuffle = OrderParameters.Shuffle(rawValue: document.shuffle) else {
      throw .damaged("shuffle is \(document.shuffle)")
    }
    self.init(shuffle: shuffle, seed: document.seed)
    if let name = document.equalize {
      guard let equalize = OrderParameters.Equalize(rawValue: name) else {
        throw .damaged("equalize is \(name)")
      }
      self.equalize = equalize
    }
    do {
      try OrderParameters.check(document.sequence, 0...(1 << 53), "sequence")
      let windows = OrderParameters.allowedShuffleWindows
      try OrderParameters.check(document.shuffleWindow, windows, "shuffle window")
      if let lanes = document.lanes {
        try OrderParameters.check(lanes, OrderParameters.allowedLanes, "number of lanes")
      }
    } catch {
      throw .order(error)
    }
    sequence = document.sequence
    shuffleWindow = document.shuffleWindow
    lanesAsked = document.lanes
    for (name, split) in document.splits {
      splits[name] = try Self.split(split, named: name)
    }
    guard Set(splits.values.map(\.present.worldSize)).count <= 1 else {
      throw .damaged("its splits have different world sizes")
    }
    if let ranks = document.ranks {
      let known = 0..<(worldSize ?? 0)
      guard ranks.allSatisfy(known.contains), zip(ranks, ranks.dropFirst()).allSatisfy(<) else {
        throw .damaged("its list of ranks is not one")
      }
      self.ranks = ranks
    }
    for split in splits.values {
      _ = try parameters(of: split)
    }
  }

  private static func split(
    _ split: Document.Split,
    named name: String
  ) throws(CursorError) -> SplitCursor {
    guard let partition = OrderParameters.Partition(rawValue: split.partition) else {
      throw .damaged("the partition of \(name) is \(split.partition)")
    }
    guard split.legs.count <= maxLegs, let last = split.legs.last else {
      throw .damaged("\(name) has \(split.legs.count) legs")
    }
    let shards = DatasetShape.allowedShardCounts
    guard split.skippedShards.allSatisfy(shards.contains) else {
      throw .damaged("\(name) skips shards that there cannot be")
    }
    var earlier: [Leg] = []
    for leg in split.legs.dropLast() {
      earlier.append(try Self.leg(leg))
    }
    guard let counts = KnownCounts(split.counts ?? "") else {
      throw .damaged("its counts of \(name) cannot be read")
    }
    var cursor = SplitCursor(
      fingerprint: split.fingerprint,
      partition: partition,
      skippedShards: split.skippedShards,
      earlier: earlier,
      present: try leg(last)
    )
    cursor.counts = counts
    return cursor
  }

  private static func leg(_ leg: Document.Leg) throws(CursorError) -> Leg {
    var ranks: [Progress] = []
    var rangeCount = 0
    for (rank, text) in leg.progress.enumerated() {
      guard var progress = ProgressText.decode(text) else {
        throw .damaged("the progress of rank \(rank) cannot be read")
      }
      rangeCount += progress.consumed.gapCount
      guard rangeCount <= maxRanges else {
        throw .damaged("a leg has more than \(maxRanges) gaps")
      }
      progress.committedAt = leg.committed[String(rank)]
      if let length = leg.lengths?[String(rank)] {
        guard Self.allowedLengths.contains(length) else {
          throw .damaged("the epoch of rank \(rank) has \(length) samples")
        }
        progress.length = length
      }
      ranks.append(progress)
    }
    do {
      return try Leg(worldSize: leg.worldSize, lanes: leg.lanes, ranks: ranks)
    } catch {
      throw .order(error)
    }
  }
}
