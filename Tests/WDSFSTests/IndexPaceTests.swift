import Testing

@testable import WDSFS

@Suite struct IndexPaceTests {
  @Test("The pace is that of the last seconds, and the time to go follows from it")
  func pace() {
    var pace = IndexPace()
    #expect(pace.bytesPerSecond == nil)
    for second in 0...60 {
      // Ten times as fast from the thirtieth second on.
      let bytes = second <= 30 ? second * 1000 : 30_000 + (second - 30) * 10_000
      pace.note(Int64(bytes), at: .seconds(second))
    }
    #expect(pace.bytesPerSecond == 10_000)
    #expect(pace.secondsToGo(100_000) == 10)
  }

  @Test("Nothing is foretold of a run that stands still")
  func stalled() {
    var pace = IndexPace()
    for second in 0..<40 { pace.note(5, at: .seconds(second)) }
    #expect(pace.secondsToGo(10) == nil)
  }

  @Test("The line says how far it is, with a bar where there is room")
  func line() {
    var standing = IndexStanding(shardCount: 1200, totalBytes: 100 << 30)
    standing.doneShards = 300
    standing.knownBytes = 10 << 30
    standing.walkedBytes = 15 << 30
    standing.receivedPerSecond = 85_200_000
    standing.secondsToGo = 62
    #expect(
      standing.text(width: 80)
        == "[######.....................]  25 %  300 of 1,200 shards  85.2 MB/s  1:02 to go"
    )
    #expect(
      standing.text(width: nil) == "indexing: 25 %, 300 of 1,200 shards, 85.2 MB/s, 1:02 to go"
    )
    #expect(standing.text(width: 20).count == 19)
    standing.doneShards = 1200
    standing.failedShards = 2
    standing.walkedBytes = 90 << 30
    #expect(
      standing.text(width: nil) == "indexing: 100 %, 1,200 of 1,200 shards, 2 failed, 85.2 MB/s"
    )
  }

  @Test("Sizes, rates and times are as people read them")
  func sizes() {
    let sizes: [(Int64, String)] = [
      (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1049, "1.05 kB"), (9_994, "9.99 kB"),
      (9_996, "10.0 kB"), (99_960, "100 kB"), (999_500, "1.00 MB"), (1_234_567_890, "1.23 GB"),
      (.max, "9.22 EB"), (-5, "0 B"),
    ]
    for (count, text) in sizes { #expect(SizeText.bytes(count) == text) }
    #expect(SizeText.rate(bytesPerSecond: 85_200_000) == "85.2 MB/s")
    #expect(SizeText.rate(bytesPerSecond: .nan) == "0 B/s")
    #expect(SizeText.clock(seconds: 42.4) == "0:42")
    #expect(SizeText.clock(seconds: 3723) == "1:02:03")
    #expect(SizeText.clock(seconds: 4 * 86_400 + 7200) == "4 d 02 h")
    #expect(SizeText.clock(seconds: .infinity) == "?")
  }
}
