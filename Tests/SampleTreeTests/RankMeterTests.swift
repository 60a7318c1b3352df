import Instruments
import Testing

@testable import SampleTree

@Suite("What a rank waits for")
struct RankMeterTests {
  private static let base = MonotonicTime.now.nanoseconds

  private func time(_ seconds: Int) -> MonotonicTime {
    MonotonicTime(nanoseconds: Self.base + seconds * 1_000_000_000)
  }

  private static func seconds(_ count: Int) -> Int { count * 1_000_000_000 }

  @Test("requests that wait side by side are one stretch of waiting")
  func overlap() {
    let meter = RankMeter()
    #expect(!meter.isActive)
    meter.begin(at: time(10), heldBack: 0)
    meter.begin(at: time(11), heldBack: 0)
    meter.end(at: time(13), heldBack: 0)
    #expect(meter.openCount == 1)
    #expect(meter.waits(at: time(14), heldBack: 0).networkNanoseconds == Self.seconds(4))
    meter.end(at: time(15), heldBack: 0)
    meter.begin(at: time(20), heldBack: 0)
    meter.end(at: time(21), heldBack: 0)
    #expect(meter.waits(at: time(30), heldBack: 0).networkNanoseconds == Self.seconds(6))
    #expect(meter.openCount == 0 && meter.isActive)
  }

  @Test("while the store holds requests back, a wait is for the throttle and not for the network")
  func throttle() {
    let meter = RankMeter()
    meter.begin(at: time(0), heldBack: Self.seconds(100))
    let waiting = meter.waits(at: time(5), heldBack: Self.seconds(102))
    #expect(waiting.throttleNanoseconds == Self.seconds(2))
    #expect(waiting.networkNanoseconds == Self.seconds(3))
    meter.end(at: time(6), heldBack: Self.seconds(103))
    let waited = meter.waits(at: time(9), heldBack: Self.seconds(106))
    #expect(waited.throttleNanoseconds == Self.seconds(3))
    #expect(waited.networkNanoseconds == Self.seconds(3))
  }

  @Test("what is no wait is the reader's own time, from its first read on")
  func reader() {
    let meter = RankMeter()
    let before = MonotonicTime.now.nanoseconds
    meter.consumed()
    let after = MonotonicTime.now.nanoseconds
    let begin = MonotonicTime(nanoseconds: after + Self.seconds(1))
    meter.begin(at: begin, heldBack: 0)
    meter.end(at: MonotonicTime(nanoseconds: after + Self.seconds(4)), heldBack: 0)
    let now = MonotonicTime(nanoseconds: after + Self.seconds(11))
    let reader = meter.waits(at: now, heldBack: 0).readerNanoseconds
    #expect((Self.seconds(8)...Self.seconds(8) + after - before).contains(reader))
    #expect(meter.sampleCount == 1)
  }

  @Test("ranks are told of once they were read, with their place and what they were given")
  func activeRanks() throws {
    let test = try TestTree(
      ["train/0.tar": .samples(3, shard: 0), "train/1.tar": .samples(2, shard: 1)],
      .init(worldSize: 2)
    )
    _ = try test.names("train/1")
    #expect(test.tree.run.activeRanks(heldBack: 0).isEmpty)
    _ = try test.keys("train/1")
    for name in try test.names("train/1").prefix(1) {
      for file in try test.names("train/1/\(name)") { _ = try test.text("train/1/\(name)/\(file)") }
    }
    let ranks = test.tree.run.activeRanks(heldBack: 0)
    #expect(ranks.map(\.rank) == [1] && ranks.map(\.split) == ["train"])
    #expect(ranks.map(\.servedCount) == [1] && ranks.map(\.position) == [1])
    #expect(ranks.map(\.length) == [2] && ranks.map(\.consumedCount) == [1])
  }
}
