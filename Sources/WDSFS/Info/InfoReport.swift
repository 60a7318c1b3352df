import Remote
import TarIndex

/// What a dataset holds, as `wdsfs info` shows it.
struct InfoReport: Encodable {
  let version = 1
  let remote: String
  let shards: Int
  let samples: Int
  let bytes: Int64
  let splits: [Split]

  /// In words, the gravest first.
  let odd: [String]

  struct Split: Encodable {
    let name: String
    let shards: Int
    let samples: Int
    let bytes: Int64
    let shardSizes: Sizes
    let sampleSizes: Sizes
    let fields: [Field]
  }

  struct Field: Encodable {
    let name: String
    let samples: Int
    let sizes: Sizes
  }

  struct Sizes: Encodable {
    let bytes: Int64
    let mean: Int64
    let least: Int64
    let most: Int64

    /// The lower bound of each bucket that holds something, with how many it holds.
    let histogram: [[Int64]]

    let shown: SizeHistogram

    private enum CodingKeys: String, CodingKey {
      case bytes
      case mean
      case least
      case most
      case histogram
    }

    init(_ sizes: SizeHistogram) {
      shown = sizes
      bytes = sizes.bytes
      mean = sizes.mean
      least = sizes.total > 0 ? sizes.least : 0
      most = sizes.most
      histogram = sizes.range.filter { sizes.counts[$0] > 0 }
        .map { [SizeHistogram.lowerBound(ofBucket: $0), Int64(sizes.counts[$0])] }
    }
  }

  /// - Parameters:
  ///   - surveys: By split name, in the order to show.
  ///   - failures: Shards that could not be read, in words.
  ///   - remote: What it is called.
  init(_ surveys: [(name: String, survey: SplitSurvey)], failures: [String], remote: String) {
    self.remote = remote
    splits = surveys.map { name, survey in
      Split(
        name: name,
        shards: survey.shards,
        samples: survey.samples,
        bytes: survey.shardSizes.bytes,
        shardSizes: Sizes(survey.shardSizes),
        sampleSizes: Sizes(survey.sampleSizes),
        fields: survey.fields
          .sorted { one, other in
            one.value.total == other.value.total
              ? one.key.lexicographicallyPrecedes(other.key) : one.value.total > other.value.total
          }
          .map { name, sizes in
            Field(name: PrintableName.text(name), samples: sizes.total, sizes: Sizes(sizes))
          }
      )
    }
    shards = splits.reduce(0) { $0 + $1.shards }
    samples = splits.reduce(0) { $0 + $1.samples }
    bytes = splits.reduce(0) { $0 + $1.bytes }
    odd = failures + surveys.flatMap { Self.odd($0.name, $0.survey) }
  }

  // MARK: Odd things

  private static let maxNamed = 5

  private static func odd(_ name: String, _ survey: SplitSurvey) -> [String] {
    var found: [String] = []
    let damaged = survey.damaged.sorted { $0.shard < $1.shard }
    for (shard, damage) in damaged.prefix(maxNamed) {
      found.append(
        "\(name): \(PrintableName.text(shard.bytes)) is damaged: \(damage.errorClass.name) at byte "
          + "\(damage.offset)"
      )
    }
    if damaged.count > maxNamed {
      found.append("\(name): \(damaged.count - maxNamed) more shards are damaged")
    }
    for (field, oddity) in survey.lacking {
      let field = PrintableName.text(field)
      found.append("\(name): \(samples(oddity.count)) \(field), \(place(oddity))")
    }
    if let repeated = survey.repeatedKeys {
      found.append(
        "\(name): \(NumberText.counted(repeated.count, "sample")) with a key that an earlier one of "
          + "the shard has, \(place(repeated))"
      )
    }
    for (warning, oddity) in survey.warnings.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      let count = NumberText.grouped(oddity.count)
      found.append("\(name): \(count) × \(warning.name), \(place(oddity))")
    }
    return found
  }

  private static func samples(_ count: Int) -> String {
    count == 1 ? "1 sample lacks" : "\(NumberText.grouped(count)) samples lack"
  }

  private static func place(_ oddity: SplitSurvey.Oddity) -> String {
    let shard = PrintableName.text(oddity.firstShard.bytes)
    guard !oddity.example.isEmpty else { return "first in \(shard)" }
    return "first \(PrintableName.text(oddity.example)) in \(shard)"
  }
}
