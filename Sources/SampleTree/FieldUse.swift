import ShardCache
import TarIndex

/// Which fields the readers of a pass open: large ones that nobody opens are not fetched ahead.
struct FieldUse: Sendable {
  /// So many samples show which fields their reader opens.
  static let habitCount = 4

  /// A smaller field is fetched with its neighbours.
  static let largeBytes = Int64(ShardReader.maxReadBytes)

  /// With more names than that nothing is skipped.
  private static let maxNameCount = 32

  /// Whether the sample that was read when this last changed has a large field that nobody opens.
  private(set) var skipsSome = false
  private var names: [[UInt8]] = []
  private var sampleCount = 0
  private var last: Int?

  /// Takes up that the first bytes of a field are read.
  ///
  /// - Returns: Whether other bytes are to be fetched ahead from now on.
  mutating func noteRead(
    of ordinal: Int,
    at position: Int,
    fields: Range<Int>,
    in index: ShardIndex
  ) -> Bool {
    var isNew = false
    if !opens(ordinal, in: index), names.count <= Self.maxNameCount {
      index.withFieldName(ordinal) { names.append(Array($0)) }
      isNew = true
    }
    if position != last {
      last = position
      sampleCount += 1
      // The reader of this many has opened all that it will of the samples before.
      isNew = isNew || sampleCount == Self.habitCount + 1
    }
    guard isNew, sampleCount > Self.habitCount else { return false }
    let skippedBefore = skipsSome
    skipsSome =
      names.count <= Self.maxNameCount && fields.contains { isSkipped($0, in: index) }
    return skippedBefore || skipsSome
  }

  private func opens(_ ordinal: Int, in index: ShardIndex) -> Bool {
    index.withFieldName(ordinal) { name in names.contains { $0.elementsEqual(name) } }
  }

  private func isSkipped(_ ordinal: Int, in index: ShardIndex) -> Bool {
    let member = index.member(ordinal)
    return !member.isSparse && member.sizeBytes >= Self.largeBytes && !opens(ordinal, in: index)
  }

  /// The parts of a range of a shard that are not of skipped fields.
  ///
  /// - Parameters:
  ///   - range: Of the stored plane, from the start of `sample` on.
  ///   - sample: The first.
  ///   - index: The shard's, which may not know all of the range yet.
  ///   - maxCount: No more parts than that: where there would be more, what lies behind is left out.
  /// - Returns: The parts, in order; the whole range where nothing is skipped.
  func opened(
    _ range: Range<Int64>,
    fromSample sample: Int,
    in index: ShardIndex,
    maxCount: Int
  ) -> [Range<Int64>] {
    guard skipsSome, sample < index.sampleCount else { return [range] }
    var parts: [Range<Int64>] = []
    var start = range.lowerBound
    for ordinal in index.fieldOrdinals(ofSample: sample).lowerBound..<index.fieldCount {
      let member = index.member(ordinal)
      guard member.dataOffset < range.upperBound else { break }
      guard member.dataOffset >= start, isSkipped(ordinal, in: index) else { continue }
      if start < member.dataOffset { parts.append(start..<member.dataOffset) }
      guard parts.count < maxCount else { return parts }
      start = member.dataOffset + member.sizeBytes
    }
    if start < range.upperBound { parts.append(start..<range.upperBound) }
    return parts
  }
}
