import Remote
import TarIndex

/// What the shards of one split hold, added up from their indexes.
struct SplitSurvey: Sendable {
  /// A hostile shard may have as many field names as members; so many are told apart.
  private static let maxFields = 200

  /// Where something odd was seen, and how often.
  struct Oddity: Hashable, Sendable {
    var count: Int
    let firstShard: ObjectKey

    /// The member or key that shows it.
    let example: [UInt8]
  }

  private(set) var shards = 0
  private(set) var samples = 0

  /// Of whole shards, and of all that samples hold.
  private(set) var shardSizes = SizeHistogram()
  private(set) var sampleSizes = SizeHistogram()

  private(set) var fields: [[UInt8]: SizeHistogram] = [:]
  private(set) var warnings: [TarWarningClass: Oddity] = [:]
  private(set) var damaged: [(shard: ObjectKey, damage: TarDamage)] = []

  /// Samples whose key an earlier sample of the same shard has.
  private(set) var repeatedKeys: Oddity?

  /// Samples by the fields they have, to say which lack one.
  private var layouts: [[[UInt8]]: Oddity] = [:]

  init() {}

  /// Goes through a shard's index.
  init(_ index: ShardIndex, of object: ObjectInfo) {
    shards = 1
    samples = index.sampleCount
    shardSizes.add(object.sizeBytes)
    if let damage = index.damage { damaged = [(object.key, damage)] }
    for warning in index.warnings {
      warnings[warning.warningClass] = Oddity(
        count: warning.count,
        firstShard: object.key,
        example: warning.firstName
      )
    }
    var keys: Set<[UInt8]> = []
    keys.reserveCapacity(index.sampleCount)
    for sample in 0..<index.sampleCount {
      let key = index.withKey(ofSample: sample) { Array($0) }
      var names: [[UInt8]] = []
      var bytes: Int64 = 0
      for ordinal in index.fieldOrdinals(ofSample: sample) {
        let size = index.member(ordinal).sizeBytes
        let name = index.withFieldName(ordinal) { Array($0) }
        add(size, toField: name)
        bytes = bytes.addingReportingOverflow(size).overflow ? .max : bytes + size
        if names.count <= Self.maxFields { names.append(name) }
      }
      sampleSizes.add(bytes)
      noteLayout(names.sorted { $0.lexicographicallyPrecedes($1) }, key, object.key)
      if !keys.insert(key).inserted {
        let first = repeatedKeys ?? Oddity(count: 0, firstShard: object.key, example: key)
        repeatedKeys = first
        repeatedKeys?.count += 1
      }
    }
  }

  private mutating func add(_ size: Int64, toField name: [UInt8]) {
    let isKnown = fields[name] != nil || fields.count < Self.maxFields
    fields[isKnown ? name : Self.otherFields, default: SizeHistogram()].add(size)
  }

  private mutating func noteLayout(_ names: [[UInt8]], _ key: [UInt8], _ shard: ObjectKey) {
    if layouts[names] != nil {
      layouts[names]?.count += 1
    } else if layouts.count < Self.maxFields {
      layouts[names] = Oddity(count: 1, firstShard: shard, example: key)
    }
  }

  /// What names beyond those that are told apart are called together.
  static let otherFields = Array("(others)".utf8)

  mutating func add(_ other: SplitSurvey) {
    shards += other.shards
    samples += other.samples
    shardSizes.add(other.shardSizes)
    sampleSizes.add(other.sampleSizes)
    for (name, sizes) in other.fields {
      let isKnown = fields[name] != nil || fields.count < Self.maxFields
      fields[isKnown ? name : Self.otherFields, default: SizeHistogram()].add(sizes)
    }
    for (warning, oddity) in other.warnings {
      warnings[warning] = Self.sum(warnings[warning], oddity)
    }
    damaged += other.damaged
    if let repeated = other.repeatedKeys { repeatedKeys = Self.sum(repeatedKeys, repeated) }
    for (names, oddity) in other.layouts
    where layouts[names] != nil || layouts.count < Self.maxFields {
      layouts[names] = Self.sum(layouts[names], oddity)
    }
  }

  /// Shards come in any order; the first by key is the one that is named.
  private static func sum(_ one: Oddity?, _ other: Oddity) -> Oddity {
    guard let one else { return other }
    var first = other.firstShard < one.firstShard ? other : one
    first.count = one.count + other.count
    return first
  }

  /// Fields that nearly every sample has, with the samples that lack them.
  var lacking: [(field: [UInt8], oddity: Oddity)] {
    var found: [(field: [UInt8], oddity: Oddity)] = []
    for (name, sizes) in fields where sizes.total < samples && sizes.total > samples / 2 {
      var oddity: Oddity?
      for (names, layout) in layouts where !names.contains(name) {
        oddity = Self.sum(oddity, layout)
      }
      guard var oddity else { continue }
      oddity.count = samples - sizes.total
      found.append((name, oddity))
    }
    return found.sorted { $0.field.lexicographicallyPrecedes($1.field) }
  }
}
