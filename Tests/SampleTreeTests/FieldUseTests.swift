import TarIndex
import Testing

@testable import SampleTree

@Suite("large fields that nobody opens are left out of what is fetched ahead")
struct FieldUseTests {
  private static let large = Int(FieldUse.largeBytes)

  /// Samples of a small `json`, a large `mp4`, a large `wav` and a small `txt`.
  private func index(_ samples: Int = 8) -> ShardIndex {
    let shard = TestShard(
      (0..<samples).flatMap { number in
        [("json", 10), ("mp4", Self.large), ("wav", Self.large + 700), ("txt", 20)].map {
          name,
          count in
          TestShard.Member(
            name: Array("\(number).\(name)".utf8),
            bytes: [UInt8](repeating: 1, count: count)
          )
        }
      }
    )
    var scanner = TarScanner(objectBytes: Int64(shard.bytes.count))
    shard.bytes.withUnsafeBytes { scanner.feed($0, at: 0) }
    return scanner.snapshot()
  }

  /// Reads fields of samples by their place; whether the last of it changed what is to be fetched.
  private func read(
    _ places: [Int],
    _ samples: Range<Int>,
    _ index: ShardIndex,
    _ use: inout FieldUse
  ) -> Bool {
    var isOther = false
    for sample in samples {
      let fields = index.fieldOrdinals(ofSample: sample)
      for place in places {
        isOther = use.noteRead(
          of: fields.lowerBound + place,
          at: sample,
          fields: fields,
          in: index
        )
      }
    }
    return isOther
  }

  private func parts(_ use: FieldUse, _ index: ShardIndex, maxCount: Int = 100) -> [Range<Int64>] {
    use.opened(0..<index.objectBytes, fromSample: 0, in: index, maxCount: maxCount)
  }

  @Test("nothing is left out before it is clear what is opened")
  func habit() {
    let index = index()
    var use = FieldUse()
    let isEarly = read([0], 0..<FieldUse.habitCount, index, &use)
    #expect(!isEarly && parts(use, index) == [0..<index.objectBytes])
    let isTime = read([0], 4..<5, index, &use)
    #expect(isTime && use.skipsSome)
  }

  @Test("what is left are all bytes but those of the large fields that were not opened")
  func leftOut() {
    let index = index()
    var use = FieldUse()
    _ = read([0, 2], 0..<6, index, &use)
    var expected: Set<Int64> = []
    var sampled = Set(stride(from: 0, to: index.objectBytes, by: 509))
    for ordinal in 0..<index.fieldCount where ordinal % 4 == 1 {
      let member = index.member(ordinal)
      let range = member.dataOffset..<member.dataOffset + member.sizeBytes
      expected.formUnion(sampled.filter { range.contains($0) })
    }
    sampled.subtract(expected)
    let parts = parts(use, index)
    #expect(parts.count == 9)
    #expect(sampled.allSatisfy { byte in parts.contains { $0.contains(byte) } })
    #expect(expected.allSatisfy { byte in !parts.contains { $0.contains(byte) } })
    #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    // No further than it is told, and from a sample in the middle on.
    #expect(self.parts(use, index, maxCount: 3) == Array(parts.prefix(3)))
    let middle = index.span(ofSample: 5).lowerBound
    let rest = use.opened(
      middle..<index.objectBytes,
      fromSample: 5,
      in: index,
      maxCount: 100
    )
    #expect(rest.dropFirst() == parts.suffix(3) && rest.first?.lowerBound == middle)
  }

  @Test("who opens all large fields has nothing left out, however many samples are read")
  func all() {
    let index = index()
    var use = FieldUse()
    var isOther = read([1, 2], 0..<3, index, &use)
    isOther = read([1, 2], 0..<8, index, &use) || isOther
    #expect(!isOther && parts(use, index) == [0..<index.objectBytes])
  }

  @Test("a field that is opened after all is fetched again, and that is said once")
  func changed() {
    let index = index()
    var use = FieldUse()
    _ = read([0], 0..<6, index, &use)
    #expect(parts(use, index).count == 17)
    let isMore = read([1], 6..<7, index, &use)
    #expect(isMore && parts(use, index).count == 9)
    let isAgain = read([1, 0], 6..<8, index, &use)
    #expect(!isAgain)
    let isAll = read([2], 7..<8, index, &use)
    #expect(isAll && parts(use, index) == [0..<index.objectBytes])
  }
}
