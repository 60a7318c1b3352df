import SampleTree
import Testing

@Suite struct ReadingsTests {
  private func step(_ readings: inout Readings, _ position: Int) -> Readings.Answer {
    readings.step(to: position, firstBytes: 16, maxBytes: 1000)
  }

  @Test func workersWithAPartEachKeepAWindowEach() {
    var readings = Readings()
    var numbers: [Set<Int>] = [[], [], []]
    for place in 0..<400 {
      for worker in 0..<3 {
        let answer = step(&readings, 1 + worker * 100_000 + place)
        numbers[worker].insert(answer.reading)
        #expect(answer.step != .stop && answer.ended.isEmpty)
      }
    }
    #expect(numbers == [[0], [1], [2]])
    #expect(readings.liveCount == 3)
  }

  @Test func togetherTheWindowsStayWithinTheLimit() {
    var readings = Readings()
    var windows: [Int: Int64] = [:]
    for place in 0..<100 {
      for worker in 0..<4 {
        let answer = step(&readings, 1 + worker * 100_000 + place)
        if case .fetchAhead(let bytes) = answer.step { windows[answer.reading] = bytes }
      }
    }
    #expect(windows.count == 4)
    #expect(windows.values.reduce(0, +) <= 1000)
    #expect(windows.values.allSatisfy { $0 == 250 })
  }

  @Test func whatNobodyGoesOnWithEnds() {
    var readings = Readings()
    for position in 1..<10 { _ = step(&readings, position) }
    var ended: [Int] = []
    for position in 500_000..<503_000 { ended += step(&readings, position).ended }
    #expect(ended == [0])
    #expect(readings.liveCount == 1)
  }

  @Test func randomReadsFetchNothingAhead() {
    var readings = Readings()
    for position in stride(from: 1_000_000, to: 0, by: -10_000) {
      #expect(step(&readings, position).step == .nothing)
    }
    #expect(readings.liveCount == 0)
  }

  @Test func oneMoreThanAreToldApartTakesTheLongestIdleOnesPlace() {
    var readings = Readings()
    for worker in 0..<Readings.maxCount {
      for place in 0..<2 { _ = step(&readings, 1 + worker * 100_000 + place) }
    }
    #expect(readings.liveCount == Readings.maxCount)
    let answer = step(&readings, 90_000_000)
    #expect(answer.reading == 0 && answer.step == .stop)
    #expect(readings.liveCount == Readings.maxCount - 1)
    // Whose place that was begins anew, in the next one's.
    #expect(step(&readings, 3).reading == 1)
  }
}
