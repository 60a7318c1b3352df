import Glibc
import Logging
import Synchronization
import TestSupport
import Testing
import WDSFS

@Suite struct LogLineTests {
  @Test func aLineHasItsKeysInOrder() {
    let line = LogLine(
      event: "s3.retry",
      level: "info",
      fields: [(key: "shard", value: "a b.tar"), (key: "attempt", value: "2")],
      suppressedCount: 3,
      message: "again"
    )
    #expect(
      line.text
        == #"event=s3.retry level=info shard="a b.tar" attempt=2 suppressed=3 msg="again""#
    )
  }

  @Test(
    "Foreign text stays within its value",
    arguments: [
      ("plain-1.tar", "plain-1.tar"), ("", #""""#), ("a=b", #""a=b""#), ("a\"b", #""a\"b""#),
      ("a\\b", #""a\\b""#), ("a\nevent=x", #""a\nevent=x""#), ("\t", #""\t""#),
      ("\u{1b}]0;x\u{7}", #""\x1B]0;x\x07""#), ("\u{7f}\u{0}", #""\x7F\x00""#),
      ("\u{9b}31m", #""\u{9b}31m""#), ("\u{202e}x", #""\u{202e}x""#),
      ("\u{2028}", #""\u{2028}""#), ("é", #""é""#), ("\r\n", #""\x0D\n""#),
    ]
  )
  func escaping(_ value: String, _ text: String) {
    let line = LogLine(event: "e", level: "info", fields: [(key: "k", value: value)], message: "m")
    #expect(line.text == "event=e level=info k=\(text) msg=\"m\"")
  }

  @Test func keysAndLongLinesAreHeldInBounds() {
    let line = LogLine(
      event: "e",
      level: "info",
      fields: [(key: "a b\n=", value: "v")],
      message: String(repeating: "é", count: 5000)
    )
    #expect(line.text.hasPrefix("event=e level=info a_b__=v msg="))
    #expect(line.text.utf8.count <= LogLine.maxBytes)
    #expect(line.text.hasSuffix("...\""))
    #expect(!line.text.contains("\u{fffd}"))
  }

  @Test func timeIsUTC() {
    let time = timespec(tv_sec: 1_769_903_999, tv_nsec: 20_999_999)
    #expect(LogLine.timeStamp(time) == "2026-01-31T23:59:59.020Z")
    #expect(LogLine.timeStamp(timespec(tv_sec: 0, tv_nsec: 0)) == "1970-01-01T00:00:00.000Z")
  }
}

@Suite struct LogThrottleTests {
  private let key = LogThrottle.Key(event: "s3.retry", shard: "a.tar")

  @Test func oneLineASecondPassesAndCountsTheOthers() {
    var throttle = LogThrottle()
    #expect(throttle.verdict(for: key, at: .zero) == .pass(suppressedCount: 0))
    #expect(throttle.verdict(for: key, at: .milliseconds(1)) == .suppress)
    #expect(throttle.verdict(for: key, at: .milliseconds(999)) == .suppress)
    #expect(throttle.verdict(for: key, at: .seconds(1)) == .pass(suppressedCount: 2))
    #expect(throttle.verdict(for: key, at: .milliseconds(1500)) == .suppress)
    #expect(throttle.verdict(for: key, at: .seconds(9)) == .pass(suppressedCount: 1))
    #expect(throttle.verdict(for: key, at: .seconds(19)) == .pass(suppressedCount: 0))
  }

  @Test func otherEventsAndShardsHaveTheirOwnSecond() {
    var throttle = LogThrottle()
    _ = throttle.verdict(for: key, at: .zero)
    let otherShard = LogThrottle.Key(event: "s3.retry", shard: "b.tar")
    let otherEvent = LogThrottle.Key(event: "s3.failed", shard: "a.tar")
    #expect(throttle.verdict(for: otherShard, at: .zero) == .pass(suppressedCount: 0))
    #expect(throttle.verdict(for: otherEvent, at: .zero) == .pass(suppressedCount: 0))
  }

  @Test func millionsOfShardsDoNotFillMemory() {
    var throttle = LogThrottle()
    for number in 0..<20_000 {
      let key = LogThrottle.Key(event: "e", shard: "\(number)")
      _ = throttle.verdict(for: key, at: .microseconds(number))
    }
    #expect(throttle.keyCount <= LogThrottle.maxKeys)
  }
}

@Suite struct LogWriterTests {
  private final class Lines: LogOutput {
    let texts = Mutex<[String]>([])

    func write(_ line: LogLine, level: Logger.Level, time: timespec) {
      texts.withLock { $0.append(line.text) }
    }
  }

  private func logger(_ level: Logger.Level) -> (Logger, Lines, EventLog) {
    let lines = Lines()
    let events = EventLog()
    let writer = LogWriter(level: level, output: lines, events: events)
    return (Logger(label: "t") { _ in LineLogHandler(writer: writer) }, lines, events)
  }

  @Test func metadataBecomeFieldsEventAndShardFirst() {
    var (logger, lines, _) = logger(.info)
    logger[metadataKey: "always"] = "1"
    logger.info("m", metadata: ["zone": "z", "event": "e.f", "shard": "s", "attempt": "2"])
    logger.info("no event")
    #expect(
      lines.texts.withLock { $0 } == [
        #"event=e.f level=info shard=s always=1 attempt=2 zone=z msg="m""#,
        #"event=note level=info always=1 msg="no event""#,
      ]
    )
  }

  @Test func theLevelHoldsBackAllButErrorsFromTheRing() {
    let (logger, lines, events) = logger(.critical)
    logger.warning("w")
    logger.error("e")
    logger.critical("c")
    #expect(lines.texts.withLock { $0.count } == 1)
    #expect(events.lines.count == 2)
    #expect(events.lines.first?.hasSuffix(#"event=note level=error msg="e""#) == true)
  }

  @Test func aFloodIsThrottledButErrorsStayInTheRing() {
    let (logger, lines, events) = logger(.info)
    for _ in 0..<5 {
      logger.info("i", metadata: ["event": "a", "shard": "s"])
      logger.error("e", metadata: ["event": "b", "shard": "s"])
    }
    // At most a second boundary falls within the loop.
    #expect(lines.texts.withLock { $0.count } <= 4)
    #expect(events.lines.count { $0.contains("level=error") } == 5)
  }

  @Test func theRingKeepsTheLastThousandLines() {
    let events = EventLog()
    for number in 0..<2500 { events.append("\(number)") }
    #expect(events.lines == (1500..<2500).map { "\($0)" })
    #expect(events.bytes.starts(with: Array("1500\n1501\n".utf8)))
  }

  @Test func syslogGetsADatagramWithItsPriority() throws {
    let folder = try TemporaryDirectory()
    let path = folder.path + "/log"
    let file = try boundSocket(path)
    defer { close(file) }
    let output = SyslogSocket(path: path)
    let line = LogLine(event: "e", level: "error", fields: [], message: "m")
    output.write(line, level: .error, time: timespec(tv_sec: 1, tv_nsec: 0))
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(file, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    try #require(count > 0)
    let text = String(decoding: buffer.prefix(count), as: UTF8.self)
    #expect(text == #"<27>wdsfs[\#(getpid())]: event=e level=error msg="m""#)
  }

  @Test func aSyslogThatIsStoppedOrGoneHoldsNobodyUp() throws {
    let folder = try TemporaryDirectory()
    let path = folder.path + "/log"
    let file = try boundSocket(path)
    let line = LogLine(event: "e", level: "info", fields: [], message: "m")
    let output = SyslogSocket(path: path)
    let start = ContinuousClock.now
    // Nobody reads: the queue of a socket holds some hundred at most.
    for second in 0..<2000 {
      output.write(line, level: .info, time: timespec(tv_sec: second, tv_nsec: 0))
    }
    close(file)
    unlink(path)
    output.write(line, level: .info, time: timespec(tv_sec: 3000, tv_nsec: 0))
    #expect(ContinuousClock.now - start < .seconds(50))
  }

  private func boundSocket(_ path: String) throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let file = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(status == 0)
    return file
  }
}
