package import TarIndex

/// A split's samples by class, and the way from a file's name to its sample: `/.classes/<split>`.
///
/// A sample's class is what its `cls` says, and its files lie flat in the folder of the class, as
/// `<key's last part>.<field>`. Where samples of a class share that part, all but the first have `~2`,
/// `~3`, … behind it. 12 bytes a sample, 16 where such parts repeat.
package struct ClassTable: Sendable {
  /// Which of a shard's samples lie where.
  private let indexes: [ShardIndex?]

  /// By shard, the number of its first sample in the split; one more for the end.
  private let firstSamples: [UInt32]

  private let texts: BytePool

  /// By class, in order of their bytes: the text's number.
  private let order: [UInt32]

  /// By class, the position of its first sample; one more for the end.
  private let starts: [UInt32]

  /// By position, the sample's number in the split.
  private let samples: [UInt32]

  /// By position, the number behind the key's last part, 0 for none; empty where all are 0.
  private var copies: [UInt32] = []

  /// Within each class in ascending order: a name's hash (32 bits), and the position that has it.
  private var names: [UInt64] = []

  /// Samples that are in no class.
  package let unclassedCount: Int

  /// - Parameter indexes: By place in the split; nil for a shard that is left out.
  /// - Complexity: O(samples), and a sort of numbers for each class.
  package init(_ indexes: [ShardIndex?]) {
    var texts = BytePool()
    var firstSamples: [UInt32] = [0]
    var counts: [UInt32] = []
    var total = 0
    for index in indexes {
      // No shards are that large together; were they, the rest would be in no class.
      total = min(total + (index?.sampleCount ?? 0), Node.maxPositions - 1)
      firstSamples.append(UInt32(total))
    }
    var classed = 0
    for (place, index) in indexes.enumerated() {
      guard let index else { continue }
      let numbers = Self.numbers(of: index, &texts)
      while counts.count < texts.count { counts.append(0) }
      for sample in 0..<Int(firstSamples[place + 1] - firstSamples[place]) {
        guard let number = Self.number(of: sample, index, numbers) else { continue }
        counts[number] += 1
        classed += 1
      }
    }
    let order = Self.sorted(texts)
    var starts: [UInt32] = [0]
    var next = [UInt32](repeating: 0, count: texts.count)
    for text in order {
      let start = starts[starts.count - 1]
      next[Int(text)] = start
      starts.append(start + counts[Int(text)])
    }
    var samples = [UInt32](repeating: 0, count: classed)
    for (place, index) in indexes.enumerated() {
      guard let index else { continue }
      let numbers = Self.numbers(of: index, &texts)
      for sample in 0..<Int(firstSamples[place + 1] - firstSamples[place]) {
        guard let number = Self.number(of: sample, index, numbers) else { continue }
        samples[Int(next[number])] = firstSamples[place] + UInt32(sample)
        next[number] += 1
      }
    }
    self.indexes = indexes
    self.firstSamples = firstSamples
    self.texts = texts
    self.order = order
    self.starts = starts
    self.samples = samples
    unclassedCount = total - classed
    names = samples.indices.map { position in
      withStem(at: position) { Self.entry($0, at: position) }
    }
    for number in 0..<classCount { sortNames(ofClass: number) }
  }

  /// By a shard's own class number: the split's number of the text.
  private static func numbers(of index: ShardIndex, _ texts: inout BytePool) -> [Int] {
    (0..<index.classCount).map { index.withClass($0) { Int(texts.number(of: $0)) } }
  }

  /// A sample's class; nil where it has none, or cannot be shown.
  private static func number(of sample: Int, _ index: ShardIndex, _ numbers: [Int]) -> Int? {
    guard let own = index.classNumber(ofSample: sample), numbers[own] < Node.maxClasses,
      index.fieldOrdinals(ofSample: sample).count <= Node.maxFields
    else { return nil }
    return numbers[own]
  }

  private static func sorted(_ texts: BytePool) -> [UInt32] {
    (0..<UInt32(min(texts.count, Node.maxClasses))).sorted { left, right in
      texts.bytes[texts.range(of: Int(left))]
        .lexicographicallyPrecedes(texts.bytes[texts.range(of: Int(right))])
    }
  }

  // MARK: Classes

  package var classCount: Int { order.count }

  /// Samples that are in a class; positions are `0..<sampleCount`, those of a class side by side.
  package var sampleCount: Int { samples.count }

  /// The positions of a class's samples, in order of the shards.
  package func positions(ofClass number: Int) -> Range<Int> {
    Int(starts[number])..<Int(starts[number + 1])
  }

  /// The class that a position belongs to.
  package func classNumber(at position: Int) -> Int {
    starts.partition { Int($0) > position } - 1
  }

  /// The name of a class's folder: its text, spelled like a field.
  package func name(ofClass number: Int) -> [UInt8] {
    let text = texts.bytes[texts.range(of: Int(order[number]))]
    return text.withUnsafeBytes { Self.fileName(Self.nothing, $0) }
  }

  /// The class whose folder has a name.
  ///
  /// - Complexity: O(log classes); O(classes) for a name that shows a digest.
  package func classNumber(named name: UnsafeRawBufferPointer) -> Int? {
    if SampleName.isDigestName(name) {
      return (0..<classCount).first {
        texts.range(of: Int(order[$0])).count >= SampleName.maxFileNameBytes / 3
          && self.name(ofClass: $0).elementsEqual(name)
      }
    }
    return Self.withPlainName(name) { wanted in
      func text(_ number: Int) -> ArraySlice<UInt8> {
        texts.bytes[texts.range(of: Int(order[number]))]
      }
      let number = order.indices.partition { !text($0).lexicographicallyPrecedes(wanted) }
      guard number < classCount, text(number).elementsEqual(wanted) else { return nil }
      return number
    }
  }

  // MARK: Samples

  /// The shard, by place in the split, and the sample in it that stand at a position.
  package func sample(at position: Int) -> (place: Int, number: Int) {
    let sample = samples[position]
    let place = firstSamples.partition { $0 > sample } - 1
    return (place, Int(sample - firstSamples[place]))
  }

  private func index(at position: Int) -> (index: ShardIndex, sample: Int) {
    let (place, sample) = sample(at: position)
    guard let index = indexes[place] else {
      preconditionFailure("position \(position) in the shard at \(place), which is left out")
    }
    return (index, sample)
  }

  /// Gives what the names of a sample's files begin with: up to the dot before the field.
  package func withStem<Value>(
    at position: Int,
    _ body: (UnsafeRawBufferPointer) -> Value
  ) -> Value {
    let (index, sample) = index(at: position)
    let copy = copies.isEmpty ? 0 : copies[position]
    return index.withKey(ofSample: sample) { key in
      let start = (key.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1
      let stem = UnsafeRawBufferPointer(rebasing: key[start...])
      if copy == 0 { return body(stem) }
      return Self.with(stem, copy: copy, body)
    }
  }

  private static func with<Value>(
    _ stem: UnsafeRawBufferPointer,
    copy: UInt32,
    _ body: (UnsafeRawBufferPointer) -> Value
  ) -> Value {
    var joined = Array(stem)
    joined += Array("~\(copy)".utf8)
    return joined.withUnsafeBytes { body($0) }
  }

  /// The name of a field's file.
  ///
  /// - Parameters:
  ///   - ordinal: Of the sample's index.
  ///   - position: Of the sample.
  /// - Returns: One name for each field of a class.
  package func fileName(ofField ordinal: Int, at position: Int) -> [UInt8] {
    let (index, _) = index(at: position)
    return withStem(at: position) { stem in
      let head = Array(stem) + [UInt8(ascii: ".")]
      return head.withUnsafeBytes { head in
        index.withFieldName(ordinal) { Self.fileName(head, $0) }
      }
    }
  }

  /// The position of a sample, and the field of it, that a file's name means in a class.
  ///
  /// - Complexity: O(log samples); O(samples) for a name that shows a digest.
  package func field(
    named name: UnsafeRawBufferPointer,
    ofClass number: Int
  ) -> (position: Int, ordinal: Int)? {
    if SampleName.isDigestName(name) { return field(ofDigestName: name, ofClass: number) }
    return Self.withPlainName(name) { plain in
      // A key's last part has no dot, so that the first one in a name ends it.
      guard let dot = plain.firstIndex(of: UInt8(ascii: ".")) else { return nil }
      let stem = UnsafeRawBufferPointer(rebasing: plain[..<dot])
      let field = UnsafeRawBufferPointer(rebasing: plain[(dot + 1)...])
      guard let position = position(ofStem: stem, inClass: number) else { return nil }
      let (index, sample) = index(at: position)
      return index.ordinal(ofField: field, inSample: sample).map { (position, $0) }
    }
  }

  private func field(
    ofDigestName name: UnsafeRawBufferPointer,
    ofClass number: Int
  ) -> (position: Int, ordinal: Int)? {
    for position in positions(ofClass: number) {
      let (index, sample) = index(at: position)
      let stemBytes = withStem(at: position) { $0.count }
      for ordinal in index.fieldOrdinals(ofSample: sample) {
        let bytes = stemBytes + 1 + index.withFieldName(ordinal) { $0.count }
        if bytes >= SampleName.maxFileNameBytes / 3,
          fileName(ofField: ordinal, at: position).elementsEqual(name)
        {
          return (position, ordinal)
        }
      }
    }
    return nil
  }

  // MARK: Names

  /// Chance in each process, so that no archive can choose names that collide.
  private static func entry(_ stem: UnsafeRawBufferPointer, at position: Int) -> UInt64 {
    UInt64(hash(stem)) << 32 | UInt64(position)
  }

  private static func hash(_ stem: UnsafeRawBufferPointer) -> UInt32 {
    var hasher = Hasher()
    hasher.combine(bytes: stem)
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  private func position(ofStem stem: UnsafeRawBufferPointer, inClass number: Int) -> Int? {
    let range = positions(ofClass: number)
    let hash = Self.hash(stem)
    var next = range.lowerBound + names[range].partition { UInt32($0 >> 32) >= hash }
    while next < range.upperBound, UInt32(names[next] >> 32) == hash {
      let position = Int(UInt32(truncatingIfNeeded: names[next]))
      if withStem(at: position, { $0.elementsEqual(stem) }) { return position }
      next += 1
    }
    return nil
  }

  /// Orders a class's names for the search, and numbers those that repeat.
  private mutating func sortNames(ofClass number: Int) {
    let range = positions(ofClass: number)
    sortNames(range)
    var numbered: [(position: Int, copy: UInt32)] = []
    var start = range.lowerBound
    while start < range.upperBound {
      let hash = names[start] >> 32
      let end = names[start..<range.upperBound].firstIndex { $0 >> 32 != hash } ?? range.upperBound
      if end - start > 1 { addNumbers(to: &numbered, sameHash: start..<end, inClass: number) }
      start = end
    }
    guard !numbered.isEmpty else { return }
    if copies.isEmpty { copies = Array(repeating: 0, count: samples.count) }
    for (position, copy) in numbered { copies[position] = copy }
    for place in range {
      let position = Int(UInt32(truncatingIfNeeded: names[place]))
      guard copies[position] > 0 else { continue }
      names[place] = withStem(at: position) { Self.entry($0, at: position) }
    }
    sortNames(range)
  }

  private mutating func sortNames(_ range: Range<Int>) {
    names.withUnsafeMutableBufferPointer { names in
      var part = UnsafeMutableBufferPointer(rebasing: names[range])
      part.sort()
    }
  }

  /// Finds numbers for those of some names that are not the first of their kind.
  ///
  /// A number whose name another sample has by itself is passed over.
  private func addNumbers(
    to numbered: inout [(position: Int, copy: UInt32)],
    sameHash run: Range<Int>,
    inClass number: Int
  ) {
    var positions = run.map { Int(UInt32(truncatingIfNeeded: names[$0])) }
    func stem(_ position: Int) -> [UInt8] { withStem(at: position) { Array($0) } }
    let first = stem(positions[0])
    if !positions.allSatisfy({ withStem(at: $0) { $0.elementsEqual(first) } }) {
      positions.sort { left, right in
        let stems = (stem(left), stem(right))
        return stems.0 == stems.1 ? left < right : stems.0.lexicographicallyPrecedes(stems.1)
      }
    }
    var kept = stem(positions[0])
    var copy: UInt32 = 1
    for position in positions.dropFirst() {
      guard withStem(at: position, { $0.elementsEqual(kept) }) else {
        kept = stem(position)
        copy = 1
        continue
      }
      repeat {
        copy += 1
      } while kept.withUnsafeBytes { stem in
        Self.with(stem, copy: copy) { self.position(ofStem: $0, inClass: number) != nil }
      }
      numbered.append((position, copy))
    }
  }

  private static var nothing: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: nil, count: 0)
  }

  private static func fileName(
    _ head: UnsafeRawBufferPointer,
    _ tail: UnsafeRawBufferPointer
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: SampleName.maxFileNameBytes) { name, count in
      count = SampleName.writeFileName(head, tail, into: UnsafeMutableRawBufferPointer(name))
    }
  }

  /// Gives the bytes that a name stands for; nil where it stands for none.
  private static func withPlainName<Value>(
    _ name: UnsafeRawBufferPointer,
    _ body: (UnsafeRawBufferPointer) -> Value?
  ) -> Value? {
    guard (1...SampleName.maxFileNameBytes).contains(name.count) else { return nil }
    return withUnsafeTemporaryAllocation(byteCount: SampleName.maxFileNameBytes, alignment: 1) {
      scratch in
      guard let count = SampleName.readFileName(name, into: scratch) else { return nil }
      return body(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
    }
  }
}

extension RandomAccessCollection {
  /// How many elements come before the first that fits, where all after it fit as well.
  fileprivate func partition(_ fits: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if fits(self[index(startIndex, offsetBy: middle)]) {
        high = middle
      } else {
        low = middle + 1
      }
    }
    return low
  }
}
