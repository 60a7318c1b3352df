import SampleTree
import Testing

@Suite struct ReadingProgressTests {
  private static let first: Int64 = 16
  private static let most: Int64 = 1000

  private func step(_ progress: inout ReadingProgress, _ position: Int) -> ReadingProgress.Step {
    progress.step(to: position, firstBytes: Self.first, maxBytes: Self.most)
  }

  @Test func aFirstReadFetchesNothingAhead() {
    var progress = ReadingProgress()
    #expect(step(&progress, 0) == .nothing)
    #expect(progress.windowBytes == 0)
  }

  @Test func whoGoesForwardGetsAWindowThatGrowsToItsLimit() {
    var progress = ReadingProgress()
    var windows: [Int64] = []
    for position in 0..<6 {
      if case .fetchAhead(let bytes) = step(&progress, position) { windows.append(bytes) }
    }
    #expect(windows == [16, 64, 256, 1000, 1000])
  }

  @Test func aWindowWithoutALimitNeverOverflows() {
    var progress = ReadingProgress()
    for position in 0..<200 {
      _ = progress.step(to: position, firstBytes: 16 << 20, maxBytes: .max)
    }
    #expect(progress.windowBytes == .max)
  }

  @Test func whatIsSettledAsksForNothing() {
    var progress = ReadingProgress()
    _ = step(&progress, 0)
    #expect(step(&progress, 1) == .fetchAhead(windowBytes: 16))
    progress.settle(1..<100)
    for position in [1, 50, 99, 3] { #expect(step(&progress, position) == .nothing) }
    #expect(step(&progress, 100) == .fetchAhead(windowBytes: 64))
  }

  @Test("a jump stops what is fetched ahead", arguments: [50_000, 0])
  func jump(to position: Int) {
    var progress = ReadingProgress()
    for position in 1000..<1010 { _ = step(&progress, position) }
    #expect(step(&progress, position) == .stop)
    #expect(progress.windowBytes == 0)
    #expect(step(&progress, position + 1) == .fetchAhead(windowBytes: 16))
  }

  @Test func randomReadsFetchNothingAhead() {
    var progress = ReadingProgress()
    for position in stride(from: 1_000_000, to: 0, by: -10_000) {
      #expect(step(&progress, position) == .nothing)
    }
  }

  @Test func workersThatAreBatchesApartAreOneReading() {
    var progress = ReadingProgress()
    var stops = 0
    // Eight workers, each with a batch of 32 of its own, take turns.
    for round in 0..<10 {
      for place in 0..<32 {
        for worker in 0..<8 where step(&progress, round * 256 + worker * 32 + place) == .stop {
          stops += 1
        }
      }
    }
    #expect(stops == 0)
    #expect(progress.windowBytes == 1000)
  }

  @Test func whoSettlesLateChangesNothing() {
    var progress = ReadingProgress()
    for position in 0..<3 { _ = step(&progress, position) }
    progress.settle(1..<50)
    #expect(progress.settled == 2..<3)
  }

  @Test("A window that is to be worked out anew is, with the next read and as the same reading")
  func unsettled() {
    var progress = ReadingProgress()
    _ = progress.step(to: 0, firstBytes: 10, maxBytes: 1000)
    _ = progress.step(to: 1, firstBytes: 10, maxBytes: 1000)
    progress.settle(1..<100)
    #expect(progress.step(to: 2, firstBytes: 10, maxBytes: 1000) == .nothing)
    progress.unsettle()
    #expect(progress.goesOn(at: 3))
    #expect(progress.step(to: 3, firstBytes: 10, maxBytes: 1000) == .fetchAhead(windowBytes: 40))
  }
}
