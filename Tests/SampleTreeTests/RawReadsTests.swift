import Testing

@testable import SampleTree

@Suite struct RawReadsTests {
  private static let read = 1 << 20

  /// A read of a mebibyte, with a plan due every four; the expectation macro takes no mutating call.
  private func step(_ reads: inout RawReads, _ shard: Int, at read: Int) -> RawReads.Plan {
    reads.step(shard, to: Int64(read * Self.read), count: Self.read, planEvery: 4 << 20)
  }

  @Test func whoGoesForwardGetsAPlanAtOnceAndThenOnceAPiece() {
    var reads = RawReads()
    let plans = (0..<10).map { step(&reads, 0, at: $0) }
    #expect(plans[0] == .nothing)
    #expect(plans[1] == .first)
    #expect(plans.indices.filter { plans[$0] == .next } == [5, 9])
  }

  @Test func aReadThatComesAgainIsNoStepForward() {
    var reads = RawReads()
    let plans = (0..<5).map { _ in step(&reads, 0, at: 0) }
    #expect(plans.allSatisfy { $0 == .nothing })
  }

  @Test func whoJumpsAboutGetsNone() {
    var reads = RawReads()
    let plans = [0, 40, 7, 90, 33, 60].map { step(&reads, 0, at: $0) }
    #expect(plans.allSatisfy { $0 == .nothing })
  }

  @Test func onlyAShardReadFromItsFrontIsWhole() {
    var reads = RawReads()
    for read in 0..<3 { _ = step(&reads, 0, at: read) }
    for read in 5..<8 { _ = step(&reads, 1, at: read) }
    #expect(reads.isWhole(0))
    #expect(!reads.isWhole(1) && !reads.isWhole(2))
  }

  @Test func noOffsetOverflows() {
    var reads = RawReads()
    for _ in 0..<3 {
      _ = reads.step(0, to: Int64.max, count: Int.max, planEvery: 4 << 20)
    }
    #expect(!reads.isWhole(0))
  }

  @Test func manyShardsAreForgottenAndKnownAgain() {
    var reads = RawReads()
    for shard in 0..<1000 { _ = step(&reads, shard, at: 0) }
    _ = step(&reads, 0, at: 0)
    #expect(step(&reads, 0, at: 1) == .first)
  }
}
