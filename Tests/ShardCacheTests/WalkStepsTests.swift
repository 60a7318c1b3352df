import Testing

@testable import ShardCache

@Suite struct WalkStepsTests {
  private static let size: Int64 = 10 << 30

  /// The expectation macro takes no mutating call.
  private func next(_ steps: inout WalkSteps, _ wanted: Int64, _ received: Int64) -> Range<Int64> {
    steps.next(wantedOffset: wanted, receivedOffset: received)
  }

  @Test("A shard of small members is asked for in ever larger requests")
  func streaming() {
    var steps = WalkSteps(objectBytes: Self.size)
    var offset: Int64 = 0
    var sizes: [Int64] = []
    for _ in 0..<7 {
      let range = steps.next(wantedOffset: offset, receivedOffset: offset)
      #expect(range.lowerBound == offset)
      sizes.append(Int64(range.count))
      offset = range.upperBound
    }
    #expect(sizes == [64, 1024, 16384, 65536, 65536, 65536, 65536].map { $0 << 10 })
  }

  @Test("Over a large body it is jumped to the next header, with a small request")
  func jump() {
    var steps = WalkSteps(objectBytes: Self.size)
    _ = next(&steps, 0, 0)
    let wanted = (64 << 10) + WalkSteps.jumpBytes
    let range = next(&steps, wanted, 64 << 10)
    #expect(range == wanted..<wanted + WalkSteps.headerBytes)
    // What is a byte less is read on.
    var near = WalkSteps(objectBytes: Self.size)
    _ = next(&near, 0, 0)
    let readOn = next(&near, wanted - 1, 64 << 10)
    #expect(readOn.count == 1 << 20)
  }

  @Test("Nothing is asked for beyond the object's end")
  func end() {
    var steps = WalkSteps(objectBytes: 70_000)
    let first = next(&steps, 0, 0)
    let second = next(&steps, 65_536, 65_536)
    let third = next(&steps, 70_000, 70_000)
    #expect(first == 0..<65_536)
    #expect(second == 65_536..<70_000)
    #expect(third.isEmpty)
  }

  @Test("A request is broken off once too much of it is of no use")
  func breakingOff() {
    var steps = WalkSteps(objectBytes: Self.size)
    let one: Int64 = 4 << 20
    func isWorthwhile(_ wanted: Int64, _ received: Int64) -> Bool {
      steps.isWorthwhile(wantedOffset: wanted, receivedOffset: received, range: 0..<64 << 20)
    }
    // A few large members among many small ones are read over.
    let verdicts = [
      isWorthwhile(one, 0), isWorthwhile(one + 1000, one), isWorthwhile(3 * one, one + 1000),
    ]
    #expect(verdicts == [true, true, false])
    // What comes next is taken for large as well.
    let range = next(&steps, 3 * one, one + 2000)
    #expect(range.count == Int(WalkSteps.headerBytes))
  }
}
