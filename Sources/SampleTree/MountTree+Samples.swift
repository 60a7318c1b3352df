import Remote
import SampleOrder
import ShardCache
import Synchronization
import TarIndex

/// Where the sample at a position lies.
struct Sample {
  /// The cache's number of its shard.
  let shard: Int

  /// Its place in the shard.
  let number: Int
  let index: ShardIndex
  let plane: BytePlane
}

extension MountTree {
  /// The pass that a rank's directory shows now.
  func rankPass(split: Int, rank: Int) throws(Obstacle) -> Pass {
    guard dataset.splits.indices.contains(split), dataset.shows(rank: rank) else {
      throw .failure(.noSuchEntry)
    }
    let pass = try ordered(split) { () throws(OrderError) in
      try run.present(split: split, rank: rank)
    }
    guard let pass else {
      throw .failure(.tooManyPasses(path: path(of: .split(split)) + "/\(rank)"))
    }
    return pass
  }

  /// Makes an order, waiting for counts that it wants.
  func ordered<Value>(
    _ split: Int,
    _ make: () throws(OrderError) -> Value
  ) throws(Obstacle) -> Value {
    do throws(OrderError) {
      return try make()
    } catch {
      guard case .countsWanted(let places) = error, let place = places.first else {
        throw .failure(.noOrder(path: path(of: .split(split)), error))
      }
      let shard = dataset.splits[split].shards[place]
      if let failure = cache.lastingFailure(ofShard: shard) {
        throw .failure(.cache(path: path(of: .split(split)), failure))
      }
      throw .pending(.sample(number: Int.max, shard: shard))
    }
  }

  /// Finds the sample at a position of a pass.
  ///
  /// What the cache has learned of the shards before it is taken up on the way.
  func locate(_ position: Int, in pass: Pass) throws(Obstacle) -> Sample {
    if case .shard(_, _, let shard) = pass.kind {
      return try sample(position, ofShard: shard, pass, position)
    }
    if case .classes(let split) = pass.kind {
      let table = try classTable(split)
      guard position < table.sampleCount else { throw .failure(.noSuchEntry) }
      let (place, number) = table.sample(at: position)
      return try sample(number, ofShard: dataset.splits[split].shards[place], pass, position)
    }
    let shards = dataset.splits[pass.split].shards
    var question: Place?
    while true {
      let place = pass.place(at: position)
      switch place {
      case nil, .end: throw .failure(.noSuchEntry)
      case .sample(let place, let number):
        return try sample(number, ofShard: shards[place], pass, position)
      case .unknown(let shardPlace, let number):
        precondition(
          place != question,
          "what was learned does not answer \(String(describing: place))"
        )
        question = place
        let shard = shards[shardPlace]
        guard try learn(shard, atPlace: shardPlace, hasMoreThan: number, pass, position) else {
          let shardCount = pass.shardsToCount(before: position)
          count(shardCount, after: position, of: pass)
          // Whoever goes beyond the shard wants all of it counted, not sample after sample.
          let isWholeWanted = shardCount > 1 || settings.skipsUnreadable
          throw .pending(.sample(number: isWholeWanted ? Int.max : number, shard: shard))
        }
      }
    }
  }

  /// Takes up what is known of a shard's count.
  ///
  /// - Returns: Whether that answers if it has more than `number` samples.
  private func learn(
    _ shard: Int,
    atPlace place: Int,
    hasMoreThan number: Int,
    _ pass: Pass,
    _ position: Int
  ) throws(Obstacle) -> Bool {
    let index = cache.index(ofShard: shard)
    // A shard that may still turn out to be unreadable is left out whole or not at all.
    if let index, index.isComplete || (number < index.sampleCount && !settings.skipsUnreadable) {
      learn(index.sampleCount, isExact: index.isComplete, ofPlace: place, pass)
      return true
    }
    let failure = cache.lastingFailure(ofShard: shard)
    if let failure, settings.skipsUnreadable { skip(shard, for: failure) }
    if skippedShards.withLock({ $0.contains(shard) }) {
      learn(0, isExact: true, ofPlace: place, pass)
      return true
    }
    if let failure { throw cacheFailure(failure, pass, position) }
    return false
  }

  func learn(_ count: Int, isExact: Bool, ofPlace place: Int, _ pass: Pass) {
    if pass.learn(sampleCount: count, isExact: isExact, ofPlace: place) { tellEnd(of: pass) }
  }

  private func sample(
    _ number: Int,
    ofShard shard: Int,
    _ pass: Pass,
    _ position: Int
  ) throws(Obstacle) -> Sample {
    if let (index, plane) = cache.indexAndPlane(ofShard: shard) {
      if number < index.sampleCount {
        return Sample(shard: shard, number: number, index: index, plane: plane)
      }
      if index.isComplete { throw .failure(.noSuchEntry) }
    }
    if let failure = cache.lastingFailure(ofShard: shard) {
      throw cacheFailure(failure, pass, position)
    }
    throw .pending(.sample(number: number, shard: shard))
  }

  private func cacheFailure(_ failure: CacheError, _ pass: Pass, _ position: Int) -> Obstacle {
    let node = Node.sample(pass: pass.number, position: position)
    return .failure(.cache(path: path(of: node), failure))
  }

  // MARK: Names

  /// The path below the mount point, for messages.
  package func path(of inode: UInt64) -> String {
    Node(inode: inode).map { path(of: $0) } ?? "?"
  }

  func path(of node: Node) -> String {
    func name(_ split: Int) -> String {
      dataset.splits.indices.contains(split)
        ? PrintableName.text(dataset.splits[split].name) : "?"
    }
    switch node {
    case .root: return "."
    case .controls: return ".wdsfs"
    case .snapshot: return ".wdsfs/?"
    case .shards: return ".shards"
    case .split(let split): return name(split)
    case .shardSplit(let split): return ".shards/\(name(split))"
    case .epochs: return ".epochs"
    case .streams: return ".streams"
    case .streamSplit(let split): return ".streams/\(name(split))"
    case .classes: return ".classes"
    case .classSplit(let split): return ".classes/\(name(split))"
    case .classFolder(let split, let number):
      return ".classes/\(name(split))/\(className(number, in: split))"
    case .stream(let number):
      guard let rank = passes[number]?.rankName else { return ".streams/?" }
      return ".streams/\(name(rank.split))/\(rank.rank).tar"
    case .shardFile(let split, let place):
      guard holds(split: split, place: place) else { return ".shards/\(name(split))/?" }
      return ".shards/\(name(split))/\(PrintableName.text(shardName(ofPlace: place, in: split)))"
    case .pass(let number):
      guard let pass = passes[number] else { return "?" }
      switch pass.kind {
      case .rank(let split, let rank, _, _): return "\(name(split))/\(rank)"
      case .epoch(let epoch): return ".epochs/\(epoch)"
      case .epochSplit(let epoch, let split): return ".epochs/\(epoch)/\(name(split))"
      case .epochRank(let epoch, let split, let rank):
        return ".epochs/\(epoch)/\(name(split))/\(rank)"
      case .shard(let split, let place, _):
        return path(of: .shardFile(split: split, place: place)) + ".d"
      case .classes(let split): return ".classes/\(name(split))"
      }
    case .sample(let pass, let position):
      if case .classes(let split) = passes[pass]?.kind { return classPath(at: position, in: split) }
      return path(of: .pass(pass)) + "/" + Self.positionName(position)
    case .field(let pass, let position, let field):
      let sample = path(of: .sample(pass: pass, position: position))
      guard let pass = passes[pass], let found = try? locate(position, in: pass) else {
        return sample + "/?"
      }
      if let decoding = decoding(in: pass), let rule = decoding.rule(ofField: field) {
        let shown = decoding.shown(of: found).fields.first { $0.rule == rule }
        guard let shown else { return sample + "/?" }
        return sample + "/" + PrintableName.text(fileName(of: shown, found))
      }
      let ordinals = found.index.fieldOrdinals(ofSample: found.number)
      guard field < ordinals.count else { return sample + "/?" }
      if case .classes = pass.kind {
        return found.index.withFieldName(ordinals.lowerBound + field) {
          "\(sample).\(PrintableName.text($0))"
        }
      }
      return sample + "/" + PrintableName.text(fileName(of: ordinals.lowerBound + field, found))
    }
  }

  /// The name that listings show for a field.
  private func fileName(of ordinal: Int, _ sample: Sample) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: SampleName.maxFileNameBytes) { name, count in
      count = writeFileName(of: ordinal, sample, into: UnsafeMutableRawBufferPointer(name))
    }
  }

  func writeFileName(
    of ordinal: Int,
    _ sample: Sample,
    into buffer: UnsafeMutableRawBufferPointer
  ) -> Int {
    settings.listsBareNames
      ? sample.index.writeBareName(ofField: ordinal, inSample: sample.number, into: buffer)
      : sample.index.writeListedName(ofField: ordinal, inSample: sample.number, into: buffer)
  }

  static func positionName(_ position: Int) -> String {
    let digits = String(position)
    return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
  }

  /// Writes a position's name, zero-padded to eight digits, and returns its length.
  static func writePosition(
    _ position: Int,
    into buffer: UnsafeMutableRawBufferPointer
  ) -> Int {
    var digits = 1
    var rest = position / 10
    while rest > 0 {
      digits += 1
      rest /= 10
    }
    let count = max(8, digits)
    rest = position
    for place in stride(from: count - 1, through: 0, by: -1) {
      buffer[place] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
    return count
  }

  /// Reads a name that `writePosition` makes; nil for any other spelling.
  static func position(_ name: UnsafeRawBufferPointer) -> Int? {
    guard name.count >= 8, name.count == 8 || name.first != UInt8(ascii: "0") else { return nil }
    return digits(name)
  }

  /// Reads a number without leading zeros.
  static func number(_ name: UnsafeRawBufferPointer) -> Int? {
    guard name.count == 1 || name.first != UInt8(ascii: "0") else { return nil }
    return digits(name)
  }

  private static func digits(_ name: UnsafeRawBufferPointer) -> Int? {
    guard !name.isEmpty, name.count <= 18 else { return nil }
    var value = 0
    for byte in name {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value
  }
}
