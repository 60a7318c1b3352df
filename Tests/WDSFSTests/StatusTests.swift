import Instruments
import Testing

@testable import WDSFS

@Suite("Status")
struct StatusTests {
  private static let description = StatusSource.Description(
    pid: 7,
    program: "wdsfs",
    remote: "s3://bucket/imagenet",
    mountpoint: "/mnt/wds",
    worldSize: 4,
    cachePlace: "disk"
  )

  /// A mount `seconds` after its start that gives 100 samples of 1 MB to each rank a second.
  private static func statistics(
    _ seconds: Int,
    ranks: Int = 2,
    length: Int? = 1000,
    networkSeconds: Double = 0
  ) -> MountStatistics {
    let times = MountStatistics.Times(
      counts: [seconds * 100] + Array(repeating: 0, count: 25),
      sum: 0
    )
    return MountStatistics(
      version: 1,
      uptimeSeconds: Double(seconds),
      reads: MountStatistics.Reads(
        hits: seconds * 90,
        waits: seconds * 10,
        errors: 0,
        bytes: seconds * ranks * 100_000_000,
        waiting: 3,
        hitSeconds: times,
        waitSeconds: times
      ),
      cache: MountStatistics.Cache(
        budgetBytes: 10_000_000_000,
        memoryBytes: 5,
        diskBytes: 2_500_000_000,
        chunksFetched: 0,
        chunksLoadedFromDisk: 0,
        evictions: seconds * 4,
        corruptChunks: 0
      ),
      store: MountStatistics.Store(
        requests: seconds * 50,
        inFlight: 12,
        inFlightLimit: 16,
        bytesReceived: Int64(seconds) * 50_000_000,
        retries: seconds,
        retriesByCause: ["reset": 2, "throttled": seconds, "server": 0],
        throttled: seconds,
        throttledSeconds: 0,
        isThrottled: true,
        failures: 0,
        requestSeconds: times
      ),
      indexes: MountStatistics.Indexes(built: 0, loaded: 0, damagedShards: 0),
      process: MountStatistics.Process(
        cpuSeconds: Double(seconds) / 4,
        memoryBytes: 230_000_000,
        openFiles: 41
      ),
      ranks: (0..<ranks).map { rank in
        MountStatistics.Rank(
          split: "train",
          rank: rank,
          epoch: 3,
          position: seconds * 100,
          consumed: seconds * 100,
          length: length,
          samples: seconds * 100,
          waiting: 0,
          networkSeconds: networkSeconds * Double(seconds),
          throttleSeconds: 0,
          readerSeconds: (1 - networkSeconds) * Double(seconds)
        )
      }
    )
  }

  private static func report(
    _ looks: [MountStatistics]
  ) throws -> StatusReport {
    var history = StatusHistory(description)
    for look in looks {
      history.add(look, at: MonotonicTime(nanoseconds: Int(look.uptimeSeconds) * 1_000_000_000))
    }
    return try #require(history.report)
  }

  // MARK: Rates

  @Test("rates are of the last seconds, and the time to go follows from them")
  func rates() throws {
    let report = try Self.report([Self.statistics(2), Self.statistics(4)])
    #expect(report.intervalSeconds == 2)
    #expect(report.reads.bytesPerSecond == 200e6)
    #expect(report.reads.samplesPerSecond == 200)
    #expect(report.reads.hitRate == 0.9)
    #expect(report.requests.perSecond == 50 && report.requests.retriesPerSecond == 1)
    #expect(report.cache.usedBytes == 2_500_000_000)
    #expect(report.ranks.map(\.samplesPerSecond) == [100, 100])
    #expect(report.ranks.map(\.secondsToGo) == [6, 6])
    #expect(report.reads.seconds.p50 == 2e-6)
  }

  @Test("one look says nothing of rates, and a mount that began anew is looked at anew")
  func newMount() {
    var history = StatusHistory(Self.description)
    history.add(Self.statistics(9), at: MonotonicTime(nanoseconds: 0))
    #expect(history.report == nil)
    history.add(Self.statistics(1), at: MonotonicTime(nanoseconds: 1_000_000_000))
    #expect(history.report == nil)
  }

  @Test("what a rank waited for is a part of the interval, not of its life")
  func waits() throws {
    let idle = Self.statistics(10)
    let busy = Self.statistics(14, networkSeconds: 0.25)
    let waits = try Self.report([idle, busy]).ranks[0].waits
    // 3.5 s of the network since, and less of the reader than before.
    #expect(waits.network == 3.5 / 4 && waits.reader == 0.5 / 4)
    #expect(abs(waits.network + waits.reader + waits.throttle - 1) < 1e-9)
  }

  // MARK: The screen

  @Test("the screen says how fast, how far and who waits")
  func screen() throws {
    let report = try Self.report([
      Self.statistics(2), Self.statistics(4, networkSeconds: 0.25),
    ])
    let text = StatusScreen(width: 120).lines(report).map { $0.rendered(isColored: false) }
    #expect(text[0].hasPrefix("wdsfs s3://bucket/imagenet on /mnt/wds"))
    #expect(text[0].hasSuffix("up 0:04"))
    #expect(text[2].hasPrefix("read     200 MB/s          200 samples/s     3 waiting"))
    #expect(text[3].contains("90 % hits") && text[3].contains("25 % of 10.0 GB"))
    #expect(text[4].contains("12 of 16 in flight"))
    #expect(text[5].contains("throttled now") && text[5].contains("4 throttled, 2 reset"))
    #expect(text[6] == "process  25 % of a core    230 MB memory     41 open files")
    #expect(text[9].hasPrefix("train/0  [###########"))
    #expect(text[9].contains("400 of 1,000") && text[9].contains("0:06"))
    #expect(text[9].hasSuffix("network 50 %"))
  }

  @Test("no line is wider than the terminal, and no more lines than it has", arguments: 1...160)
  func fits(width: Int) throws {
    let report = try Self.report([
      Self.statistics(2, ranks: 64), Self.statistics(4, ranks: 64, networkSeconds: 0.1),
    ])
    for height in [1, 5, 8, 9, 10, 24, 200] {
      let lines = StatusScreen(width: width, height: height).lines(report)
      #expect(lines.count <= height)
      #expect(lines.allSatisfy { $0.width <= width })
    }
  }

  @Test("of more ranks than lines the first are shown, and one line speaks for the rest")
  func manyRanks() throws {
    let report = try Self.report([Self.statistics(2, ranks: 512), Self.statistics(4, ranks: 512)])
    let lines = StatusScreen(width: 100, height: 24).lines(report).map {
      $0.rendered(isColored: false)
    }
    #expect(lines.count == 24)
    #expect(lines[22].hasPrefix("train/13"))
    #expect(lines[23] == "and 498 more ranks: 49,800 samples/s, the last of them train/14 at 40 %")
  }

  @Test("a narrow terminal keeps the rank, its share and its time to go")
  func narrow() throws {
    let report = try Self.report([Self.statistics(2), Self.statistics(4)])
    let lines = StatusScreen(width: 40).lines(report).map { $0.rendered(isColored: false) }
    #expect(
      lines.contains { $0.hasPrefix("train/0") && $0.contains("40 %") && $0.contains("0:06") }
    )
  }

  @Test("a rank whose epoch is not counted has no bar and no time to go")
  func uncounted() throws {
    let report = try Self.report([
      Self.statistics(2, length: nil), Self.statistics(4, length: nil),
    ])
    let lines = StatusScreen(width: 100).lines(report).map { $0.rendered(isColored: false) }
    #expect(lines.contains { $0.contains("not all counted") && !$0.contains("%") })
  }

  @Test("colours are there where they are asked for, and change nothing else")
  func colors() throws {
    let report = try Self.report([Self.statistics(2), Self.statistics(4)])
    for line in StatusScreen(width: 100).lines(report) {
      let plain = line.rendered(isColored: false)
      #expect(!plain.contains("\u{1B}"))
      #expect(line.rendered(isColored: true).replacing(/\u{1B}\[[0-9]*m/, with: "") == plain)
    }
  }

  @Test(
    "shares are never rounded up to all nor down to nothing",
    arguments: [
      (0.0, "0 %"), (0.00001, "0.1 %"), (0.5, "50 %"), (0.987, "98.7 %"), (0.99999, "99.9 %"),
      (1.0, "100 %"),
    ]
  )
  func percent(share: Double, text: String) {
    #expect(StatusScreen.percent(share) == text)
  }
}
