import SampleOrder

/// What should be thought over before a run, what matters most first.
struct PlanWarnings {
  let all: [Plan.Warning]

  /// Ranks that differ by less end together for all practical purposes.
  private static let toleratedSpread = 0.01

  /// Where shards are smaller, the requests cost more than the bytes.
  private static let smallShardBytes: Int64 = 8 << 20

  init(_ input: Plan.Input, _ splits: [Plan.Split]) {
    // A run that cannot go well, then one that is slow, then one that trains worse.
    let found =
      splits.compactMap { Self.cache($0, input) }
      + splits.compactMap { Self.emptyRanks($0, input) }
      + splits.compactMap { Self.uneven($0, input) }
      + splits.compactMap(Self.counting)
      + input.splits.compactMap(Self.compressed)
      + splits.compactMap(Self.smallShards)
      + splits.compactMap { Self.mixing($0, input) }
    all = Self.merged(found)
  }

  /// What one split gives to think of.
  private struct Thought {
    let name: String
    let split: String
    let words: String
  }

  /// What holds for several splits in the same words is said once.
  private static func merged(_ thoughts: [Thought]) -> [Plan.Warning] {
    var warnings: [Plan.Warning] = []
    var rest = thoughts[...]
    while let first = rest.first {
      let alike = rest.filter { ($0.name, $0.words) == (first.name, first.words) }
      rest.removeAll { ($0.name, $0.words) == (first.name, first.words) }
      let splits = alike.map(\.split).joined(separator: ", ")
      warnings.append(Plan.Warning(name: first.name, text: "\(splits): \(first.words)"))
    }
    return warnings
  }

  private static func cache(_ split: Plan.Split, _ input: Plan.Input) -> Thought? {
    let needed = split.neededCacheBytes
    guard input.shuffle == .full, needed > input.cacheBytes else { return nil }
    let lanes = split.lanes / input.worldSize
    let words =
      "\(input.localRanks == 1 ? "" : "\(input.localRanks) ranks × ")"
      + "\(NumberText.counted(lanes, "lane")) × \(NumberText.counted(split.shuffleWindow, "shard")) "
      + "are open at once, \(SizeText.bytes(split.openBytes)), and do not fit in the cache of "
      + "\(SizeText.bytes(input.cacheBytes)): all bytes would be fetched about "
      + "\(tenths(split.timesFetched)) times; use --cache-size "
      + "\(roundedUp(needed, space: ""))\(fewerLanes(split, input))"
    return Thought(name: "cache-too-small", split: split.name, words: words)
  }

  /// The number of lanes that would fit, if one does.
  private static func fewerLanes(_ split: Plan.Split, _ input: Plan.Input) -> String {
    let lanes = split.lanes / input.worldSize
    let room = input.cacheBytes - Int64(input.workers) * Plan.requestBytes
    guard lanes > 1, split.openBytes > 0, room > 0 else { return "" }
    let fitting = Int(Double(lanes) * Double(room) / Double(split.openBytes))
    guard fitting >= 1, fitting < lanes else { return "" }
    return ", or --lanes \(fitting * input.worldSize)"
  }

  private static func emptyRanks(_ split: Plan.Split, _ input: Plan.Input) -> Thought? {
    let empty = split.ranks.filter { $0.samples == 0 }.map(\.rank)
    guard !empty.isEmpty else { return nil }
    return Thought(
      name: "empty-ranks",
      split: split.name,
      words: "\(NumberText.counted(split.shards, "shard")) for "
        + "\(NumberText.counted(input.worldSize, "rank")): \(NumberText.counted(empty.count, "rank")) "
        + "(\(NumberText.ranges(Array(empty.prefix(64))))) would have nothing to read; use "
        + "--partition samples"
    )
  }

  private static func uneven(_ split: Plan.Split, _ input: Plan.Input) -> Thought? {
    let isDealtByShards = split.partition == OrderParameters.Partition.shards.rawValue
    guard input.equalize == nil, isDealtByShards, input.worldSize > 1,
      let least = split.ranks.map(\.bytes).min(), let most = split.ranks.map(\.bytes).max(),
      least > 0, Double(most - least) / Double(most) > toleratedSpread
    else { return nil }
    let percent = Int((Double(most - least) / Double(most) * 100).rounded())
    return Thought(
      name: "uneven-ranks",
      split: split.name,
      words: "the ranks' epochs differ by about \(percent) %, and ranks that step "
        + "together hang when the shortest ends; use --partition samples, or --equalize drop"
    )
  }

  private static func counting(_ split: Plan.Split) -> Thought? {
    guard split.countingRequests > 0 else { return nil }
    return Thought(
      name: "counts-wanted",
      split: split.name,
      words: "every shard must be counted before the mount answers, with up to "
        + "\(NumberText.counted(split.countingRequests, "request")) where this machine keeps no index; "
        + "run wdsfs index once, or use --partition shards"
    )
  }

  private static func compressed(_ split: Plan.Input.Split) -> Thought? {
    guard split.compressedShardCount > 0 else { return nil }
    return Thought(
      name: "compressed-shards",
      split: split.name,
      words:
        "\(NumberText.counted(split.compressedShardCount, "shard")) compressed as "
        + "a whole: each is unpacked into the cache before its last sample can be read, and takes "
        + "there what it takes unpacked; pictures gain nothing by it, plain .tar reads faster"
    )
  }

  private static func smallShards(_ split: Plan.Split) -> Thought? {
    guard split.shards > 16, split.bytes / Int64(split.shards) < smallShardBytes else { return nil }
    return Thought(
      name: "small-shards",
      split: split.name,
      words: "shards of \(SizeText.bytes(split.bytes / Int64(split.shards))) cost a "
        + "request each for little; 100 MB to 1 GB are usual"
    )
  }

  private static func mixing(_ split: Plan.Split, _ input: Plan.Input) -> Thought? {
    switch input.shuffle {
    case .none:
      return Thought(
        name: "not-shuffled",
        split: split.name,
        words: "samples come in the order in which they lie; use --shuffle full to "
          + "mix them"
      )
    case .shards:
      return Thought(
        name: "shards-only",
        split: split.name,
        words: "shards change places, samples within a shard do not; use --shuffle "
          + "full where neighbours in a shard are alike"
      )
    case .full:
      let share = split.samples > 0 ? Double(split.shuffleBufferSamples) / Double(split.samples) : 1
      guard split.shuffleBufferSamples < 1000, share < 0.1 else { return nil }
      return Thought(
        name: "little-mixed",
        split: split.name,
        words: "mixed like a shuffle buffer of "
          + "\(NumberText.counted(split.shuffleBufferSamples, "sample")); more --lanes mix better "
          + "and take more cache"
      )
    }
  }

  // MARK: Numbers

  private static func tenths(_ value: Double) -> String {
    let scaled = Int((value * 10).rounded())
    return "\(scaled / 10).\(scaled % 10)"
  }

  /// A size in whole units that is never too small; without a space as one types it behind
  /// `--cache-size`.
  static func roundedUp(_ bytes: Int64, space: String = " ") -> String {
    let gigabyte: Int64 = 1_000_000_000
    if bytes > 10 * gigabyte { return "\((bytes + gigabyte - 1) / gigabyte)\(space)GB" }
    return "\((bytes + 999_999) / 1_000_000)\(space)MB"
  }
}
