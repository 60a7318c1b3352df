import Remote
import Schema
import ShardCache
import Synchronization
import TarIndex

/// A decoded field as a sample's folder shows it.
struct ShownField {
  let rule: Int

  /// The raw field that it is decoded from.
  let ordinal: Int
  let name: String
}

extension FieldDecoding {
  // MARK: Numbers

  /// The rule whose field has a number; nil for a raw field's.
  ///
  /// Decoded fields count down from the last number that a field can have.
  func rule(ofField field: Int) -> Int? {
    let rule = Node.maxFields - 1 - field
    return rule < rules.count ? rule : nil
  }

  func number(ofRule rule: Int) -> Int { Node.maxFields - 1 - rule }

  /// The raw field that a rule is about; nil where the sample has none.
  func ordinal(of rule: Int, _ sample: Sample) -> Int? {
    let name = rules[rule].field.utf8
    return sample.index.fieldOrdinals(ofSample: sample.number).first { ordinal in
      sample.index.withFieldName(ordinal) { $0.elementsEqual(name) }
    }
  }

  func field(_ rule: Int, _ ordinal: Int, of sample: Sample) -> DecodedField {
    let member = sample.index.member(ordinal)
    return DecodedField(
      rule: rule,
      shard: sample.shard,
      plane: sample.plane,
      ordinal: ordinal,
      range: member.dataOffset..<member.dataOffset + member.sizeBytes
    )
  }

  // MARK: Names

  /// What of a sample is shown decoded, and which of its raw fields are not shown.
  ///
  /// A name that is taken by a raw field or an earlier rule gives way to the long one, and a field for
  /// which both are taken is not decoded.
  func shown(of sample: Sample) -> (fields: [ShownField], hidden: [Int]) {
    var found: [(rule: Int, ordinal: Int)] = []
    var hidden: [Int] = []
    for rule in rules.indices {
      guard let ordinal = ordinal(of: rule, sample), !sample.index.member(ordinal).isSparse
      else { continue }
      found.append((rule, ordinal))
      if rules[rule].placement == .inPlace { hidden.append(ordinal) }
    }
    if found.isEmpty { return ([], []) }
    var fields: [ShownField] = []
    for (rule, ordinal) in found {
      func isFree(_ name: String) -> Bool {
        !fields.contains { $0.name == name } && !hasRaw(name, sample, hidden)
      }
      let names =
        isLong[rule] ? [rules[rule].longName] : [rules[rule].shortName, rules[rule].longName]
      guard let name = names.first(where: isFree) else { continue }
      fields.append(ShownField(rule: rule, ordinal: ordinal, name: name))
    }
    let decoded = Set(fields.map(\.ordinal))
    return (fields, hidden.filter { decoded.contains($0) })
  }

  private func hasRaw(_ name: String, _ sample: Sample, _ hidden: [Int]) -> Bool {
    sample.index.fieldOrdinals(ofSample: sample.number).contains { ordinal in
      !hidden.contains(ordinal)
        && sample.index.withFieldName(ordinal) { $0.elementsEqual(name.utf8) }
    }
  }
}

/// Fields by the rules of `--schema`: their names, sizes and bytes.
extension MountTree {
  /// The rules that count in a pass: `/.shards` and `/.classes` show samples as they lie.
  func decoding(in pass: Pass) -> FieldDecoding? {
    guard let decoding else { return nil }
    switch pass.kind {
    case .rank, .epochRank: return decoding
    case .epoch, .epochSplit, .shard, .classes: return nil
    }
  }

  // MARK: Names

  func lookUpField(
    _ name: UnsafeRawBufferPointer,
    of sample: Sample,
    in pass: Pass,
    at position: Int,
    _ decoding: FieldDecoding
  ) throws(Obstacle) -> Attributes {
    let first = try fieldOrdinals(of: sample, pass, position).lowerBound
    let (fields, hidden) = decoding.shown(of: sample)
    // As raw fields: any listed name before the bare ones.
    let isRaw = sample.index.ordinal(named: name, inSample: sample.number)
    if let ordinal = isRaw, !hidden.contains(ordinal) {
      let node = Node.field(pass: pass.number, position: position, field: ordinal - first)
      return attributes(ofField: ordinal, inode: node.inode, sample)
    }
    for isListed in [true, false] {
      for field in fields
      where fileName(of: field, sample, isListed: isListed).elementsEqual(name) {
        let node = decodedNode(field.rule, decoding, pass, position)
        return try attributes(
          of: field.rule,
          ofField: field.ordinal,
          inode: node.inode,
          sample,
          decoding
        )
      }
    }
    throw .failure(.noSuchEntry)
  }

  private func decodedNode(
    _ rule: Int,
    _ decoding: FieldDecoding,
    _ pass: Pass,
    _ position: Int
  ) -> Node {
    .field(pass: pass.number, position: position, field: decoding.number(ofRule: rule))
  }

  /// The name that listings show, or the other one.
  func fileName(of field: ShownField, _ sample: Sample, isListed: Bool? = nil) -> [UInt8] {
    let isListed = isListed ?? !settings.listsBareNames
    var name = field.name
    return name.withUTF8 { name in
      [UInt8](unsafeUninitializedCapacity: SampleName.maxFileNameBytes) { buffer, count in
        count = sample.index.writeName(
          of: UnsafeRawBufferPointer(name),
          inSample: sample.number,
          isListed: isListed,
          into: UnsafeMutableRawBufferPointer(buffer)
        )
      }
    }
  }

  /// Lists what is left of the raw fields, then the decoded ones; decodes nothing.
  ///
  /// An entry whose size nobody knows yet goes without its attributes: who wants them looks it up.
  func listFields(
    of sample: Sample,
    in pass: Pass,
    at position: Int,
    _ decoding: FieldDecoding,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) {
    let ordinals = sample.index.fieldOrdinals(ofSample: sample.number)
    let (fields, hidden) = decoding.shown(of: sample)
    for ordinal in ordinals.dropFirst(cursor.position) where !hidden.contains(ordinal) {
      let place = ordinal - ordinals.lowerBound
      cursor.skip(to: place)
      let node = Node.field(pass: pass.number, position: position, field: place)
      let attributes = attributes(ofField: ordinal, inode: node.inode, sample)
      var name = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
      let count = name.withUnsafeMutableBytes { writeFileName(of: ordinal, sample, into: $0) }
      guard cursor.add(Array(name[..<count]), attributes, emit) else { return }
    }
    for (place, field) in fields.enumerated().dropFirst(max(0, cursor.position - ordinals.count)) {
      cursor.skip(to: ordinals.count + place)
      let node = decodedNode(field.rule, decoding, pass, position)
      let found = decoding.field(field.rule, field.ordinal, of: sample)
      let size = decoding.knownSize(of: found)
      var attributes = attributes(ofField: field.ordinal, inode: node.inode, sample)
      attributes.sizeBytes = size ?? 0
      let name = fileName(of: field, sample)
      guard cursor.add(name, attributes, isLookedUp: size != nil, emit) else { return }
    }
  }

  // MARK: Sizes and bytes

  /// What `stat` tells of a decoded field, which is decoded for it unless its size follows from the
  /// rule.
  func attributes(
    of rule: Int,
    ofField ordinal: Int,
    inode: UInt64,
    _ sample: Sample,
    _ decoding: FieldDecoding
  ) throws(Obstacle) -> Attributes {
    let field = decoding.field(rule, ordinal, of: sample)
    var attributes = attributes(ofField: ordinal, inode: inode, sample)
    if let size = decoding.knownSize(of: field) {
      attributes.sizeBytes = size
      return attributes
    }
    switch decoding.finding(of: field) {
    case .ready(let bytes): attributes.sizeBytes = Int64(bytes.count)
    case .missing: throw .pending(.decoded(field))
    case .failed:
      switch decoding.onError {
      case .raw: break
      // Not empty: nobody would read it, and nobody would hear of the error.
      case .eio: attributes.sizeBytes = max(1, attributes.sizeBytes)
      case .skip: throw .failure(.noSuchEntry)
      }
    }
    return attributes
  }

  /// The bytes of a decoded field; nil where the raw ones are to be shown.
  func decodedBytes(
    of rule: Int,
    _ ordinal: Int,
    _ sample: Sample,
    at node: Node,
    _ decoding: FieldDecoding
  ) throws(Obstacle) -> (field: DecodedField, bytes: [UInt8])? {
    let field = decoding.field(rule, ordinal, of: sample)
    if case .field(let number, let position, _) = node, let pass = passes[number] {
      decodeAhead(of: field, at: position, of: pass, decoding)
    }
    switch decoding.finding(of: field) {
    case .ready(let bytes): return (field, bytes)
    case .missing: throw .pending(.decoded(field))
    case .failed(let error):
      switch decoding.onError {
      case .raw: return nil
      case .skip: throw .failure(.noSuchEntry)
      case .eio:
        let key = sample.index.withKey(ofSample: sample.number) { Array($0) }
        let shard = cache.shards[sample.shard].key
        throw .failure(.undecodable(path: path(of: node), shard: shard, key: key, error))
      }
    }
  }

  /// Whether no file of a sample has anything to read, as far as that is known.
  func isEmpty(_ sample: Sample, _ decoding: FieldDecoding) -> Bool {
    let (fields, hidden) = decoding.shown(of: sample)
    let isRawEmpty = sample.index.fieldOrdinals(ofSample: sample.number).allSatisfy { ordinal in
      hidden.contains(ordinal) || sample.index.member(ordinal).sizeBytes == 0
    }
    return isRawEmpty
      && fields.allSatisfy { shown in
        let field = decoding.field(shown.rule, shown.ordinal, of: sample)
        if let size = decoding.knownSize(of: field) { return size == 0 }
        switch decoding.finding(of: field) {
        case .ready(let bytes): return bytes.isEmpty
        case .failed: return decoding.onError == .skip
        case .missing: return false
        }
      }
  }

  // MARK: Ahead

  /// Has a reader's next fields decoded, as far as their bytes have come.
  func decodeAhead(
    of field: DecodedField,
    at position: Int,
    of pass: Pass,
    _ decoding: FieldDecoding
  ) {
    guard pass.readings.withLock({ $0.liveCount > 0 }) else { return }
    let bytes: Int
    if let size = decoding.rules[field.rule].format.fixedSizeBytes {
      bytes = Int(size)
    } else if case .ready(let known) = decoding.finding(of: field) {
      bytes = known.count
    } else {
      return
    }
    let ahead = decoding.positionsAhead(
      of: position,
      ofPass: pass.number,
      rule: field.rule,
      bytes: bytes
    )
    for position in ahead {
      guard let sample = try? locate(position, in: pass) else {
        return decoding.noteReach(position, ofPass: pass.number, rule: field.rule)
      }
      guard let ordinal = decoding.ordinal(of: field.rule, sample),
        !sample.index.member(ordinal).isSparse
      else { continue }
      let next = decoding.field(field.rule, ordinal, of: sample)
      // What has not come yet is looked for again at the next read.
      guard cache.isInMemory(next.range, ofShard: sample.shard, plane: sample.plane) else {
        return decoding.noteReach(position, ofPass: pass.number, rule: field.rule)
      }
      decoding.decodeAhead(next, in: cache)
    }
  }
}

extension FieldDecoding {
  /// The size of a field that is shown whatever its bytes turn out to be.
  func knownSize(of field: DecodedField) -> Int64? {
    guard onError == .eio else { return nil }
    return rules[field.rule].format.fixedSizeBytes
  }
}
