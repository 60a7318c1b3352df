import TarIndex
import TestSupport
import Testing

/// Archives with chance changes: whatever comes, the walk ends, and its index is sound.
@Suite struct MutationTests {
  @Test("changed archives never trap, and their indexes withstand every check")
  func mutations() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let archives = OddTars.all.map(\.archive).filter { !$0.isEmpty && $0.count < 20_000 }
    let end = ContinuousClock.now + .seconds(4)
    var count = 0
    while ContinuousClock.now < end {
      var archive = archives[Int.random(in: 0..<archives.count, using: &generator)]
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        mutate(&archive, using: &generator)
      }
      let cut = Int.random(in: 0...archive.count, using: &generator)
      let walk = Walk(archive, cuts: [cut])
      #expect(walk.index.isComplete, "seed \(seed), case \(count)")
      #expect(walk.serialized == Walk(archive).serialized, "seed \(seed), case \(count)")
      let again = try walk.index.withSerialized { bytes in
        try ShardIndex(validating: IndexStorage(copying: bytes))
      }
      askEverything(again)
      count += 1
    }
    #expect(count > 100)
  }

  private func mutate(_ archive: inout [UInt8], using generator: inout SeededGenerator) {
    let offset = Int.random(in: 0..<archive.count, using: &generator)
    let block = offset / 512 * 512
    switch Int.random(in: 0..<6, using: &generator) {
    case 0: archive[offset] = UInt8.random(in: 0...255, using: &generator)
    case 1: archive[offset] ^= 1 << UInt8.random(in: 0...7, using: &generator)
    case 2 where archive.count > 1:
      archive.removeLast(Int.random(in: 1..<archive.count, using: &generator))
    case 3: archive.insert(contentsOf: archive[block...].prefix(512), at: block)
    case 4 where archive.count - block > 512: archive.removeSubrange(block..<block + 512)
    default:
      // A change that the checksum vouches for.
      guard archive.count - block >= 512 else { return }
      let place = [0, 124, 125, 156, 257, 345, 386, 482, 483].randomElement(using: &generator) ?? 0
      archive[block + place] = UInt8.random(in: 0...255, using: &generator)
      archive.put(Array(repeating: 0x20, count: 8), at: block + 148)
      let sum = archive[block..<block + 512].reduce(0) { $0 + Int($1) }
      archive.put(TarWriter.octal(sum, 7) + [0x20], at: block + 148)
    }
  }
}

/// Puts every question to an index, so that one that cannot be answered shows.
func askEverything(_ index: ShardIndex) {
  var scratch = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
  for sample in 0..<index.sampleCount {
    let span = index.span(ofSample: sample)
    #expect(span.upperBound <= index.objectBytes)
    for ordinal in index.fieldOrdinals(ofSample: sample) {
      let member = index.member(ordinal)
      #expect(index.sampleNumber(ofField: ordinal) == sample)
      if !member.isSparse {
        let data = member.dataOffset..<member.dataOffset + member.sizeBytes
        #expect(span.lowerBound <= data.lowerBound && data.upperBound <= span.upperBound)
      }
      let count = scratch.withUnsafeMutableBytes {
        index.writeListedName(ofField: ordinal, inSample: sample, into: $0)
      }
      #expect((1...255).contains(count))
      let bareCount = scratch.withUnsafeMutableBytes {
        index.writeBareName(ofField: ordinal, inSample: sample, into: $0)
      }
      scratch[..<bareCount].withUnsafeBytes {
        _ = index.ordinal(named: $0, inSample: sample)
      }
    }
  }
  for sample in 0..<index.sampleCount {
    guard let number = index.classNumber(ofSample: sample) else { continue }
    #expect((1...255).contains(index.withClass(number) { $0.count }))
  }
  _ = index.warnings
}
