import Remote
import ShardCache
import TarIndex

/// What an indexing run found, as it is shown.
struct IndexReport: Encodable {
  let version = 1
  let remote: String

  /// Whether every shard was done.
  let isComplete: Bool

  let shards: Int
  let samples: Int
  let bytes: Int64

  /// Of the shards: those that were known already.
  let known: Int

  let failed: [Problem]
  let damaged: [Problem]
  let splits: [Split]
  let seconds: Double

  /// Nil without `--publish`.
  var published: Published?

  struct Published: Encodable {
    var objects: [String] = []
    var bytes: Int64 = 0
  }

  struct Problem: Encodable {
    let shard: String
    let reason: String
  }

  struct Split: Encodable {
    let name: String
    let shards: Int
    let samples: Int
    let fields: Int
    let bytes: Int64
  }

  private enum CodingKeys: String, CodingKey {
    case version
    case remote
    case isComplete = "complete"
    case shards
    case samples
    case bytes
    case known
    case failed
    case damaged
    case splits
    case seconds
    case published
  }

  init(_ results: IndexResults, of open: OpenDataset, isComplete: Bool, seconds: Double) {
    let dataset = open.dataset
    func name(_ shard: Int) -> String { PrintableName.text(dataset.shards[shard].key.bytes) }
    remote = open.address.displayName
    self.isComplete = isComplete
    self.seconds = (seconds * 1000).rounded() / 1000
    let done = results.summaries
    shards = done.count
    samples = done.values.reduce(0) { $0 + $1.samples }
    bytes = done.keys.reduce(0) { $0 + dataset.shards[$1].sizeBytes }
    known = done.values.count { $0.isKnown }
    failed = results.failures.sorted { $0.key < $1.key }
      .map { Problem(shard: name($0.key), reason: "\($0.value)") }
    damaged = done.sorted { $0.key < $1.key }.compactMap { shard, summary in
      summary.damage.map {
        Problem(shard: name(shard), reason: "\($0.errorClass.name) at byte \($0.offset)")
      }
    }
    splits = dataset.splits.map { split in
      let own = split.shards.filter { done[$0] != nil }
      return Split(
        name: split.name.description,
        shards: own.count,
        samples: own.reduce(0) { $0 + (done[$1]?.samples ?? 0) },
        fields: own.reduce(0) { $0 + (done[$1]?.fields ?? 0) },
        bytes: own.reduce(0) { $0 + dataset.shards[$1].sizeBytes }
      )
    }
  }

  /// Named one by one, no more than these: the rest is counted.
  private static let maxNamed = 5

  var text: String {
    var table = TextTable([
      .left("split"), .right("shards"), .right("samples"), .right("files"), .right("size"),
    ])
    for split in splits where split.shards > 0 {
      table.add([
        split.name, NumberText.grouped(split.shards), NumberText.grouped(split.samples),
        NumberText.grouped(split.fields), SizeText.bytes(split.bytes),
      ])
    }
    var text = shards > 0 ? table.text() : ""
    text += Self.list(damaged, "damaged: what lies before the damage counts")
    text += Self.list(failed, "could not be read")
    text += "\(NumberText.counted(shards, "shard")) indexed in \(SizeText.time(seconds: seconds))"
    text += known > 0 ? ", \(NumberText.grouped(known)) of them known already\n" : "\n"
    if let published {
      text += "published in \(NumberText.counted(published.objects.count, "object")), "
      text += "\(SizeText.bytes(published.bytes)): \(published.objects.first ?? "")\n"
    }
    return text
  }

  private static func list(_ problems: [Problem], _ what: String) -> String {
    guard !problems.isEmpty else { return "" }
    var text = "\(NumberText.counted(problems.count, "shard")) \(what)\n"
    for problem in problems.prefix(maxNamed) { text += "  \(problem.shard): \(problem.reason)\n" }
    if problems.count > maxNamed {
      text += "  and \(NumberText.grouped(problems.count - maxNamed)) more; see --json\n"
    }
    return text
  }
}

/// What is kept in mind of each shard while an indexing run goes on.
struct IndexResults: Sendable {
  struct Summary: Sendable {
    let samples: Int
    let fields: Int
    let damage: TarDamage?
    let isKnown: Bool
  }

  var summaries: [Int: Summary] = [:]
  var failures: [Int: CacheError] = [:]

  mutating func note(_ outcome: IndexRun.Outcome, ofShard number: Int) {
    switch outcome {
    case .known(let shard): summaries[number] = Self.summary(shard.index, isKnown: true)
    case .made(let shard): summaries[number] = Self.summary(shard.index, isKnown: false)
    case .failed(let failure): failures[number] = failure
    }
  }

  private static func summary(_ index: ShardIndex, isKnown: Bool) -> Summary {
    Summary(
      samples: index.sampleCount,
      fields: index.fieldCount,
      damage: index.damage,
      isKnown: isKnown
    )
  }
}
