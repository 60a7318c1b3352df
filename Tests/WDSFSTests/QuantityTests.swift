import Testing
import WDSFS

@Suite struct QuantityTests {
  @Test(
    "Sizes as people write them",
    arguments: [
      ("1000", 1000), ("0", 0), ("10GB", 10_000_000_000), ("512MiB", 536_870_912),
      ("1.5GiB", 1_610_612_736), ("10 gb", 10_000_000_000), ("4k", 4096), ("2T", 2_199_023_255_552),
      ("7b", 7), (" 1KB", 1000), ("0.5kb", 500), ("9223372036854775807", nil),
      ("900000000000000000", 900_000_000_000_000_000), ("900000000000000000k", nil), ("", nil),
      ("GB", nil), ("1.5", nil), ("-1", nil), ("1e3", nil), ("10XB", nil), ("1..5GB", nil),
      ("20%", nil), ("1 000", nil), ("\u{661}GB", nil), ("5\u{212A}", nil),
    ] as [(String, Int64?)]
  )
  func sizes(_ text: String, _ bytes: Int64?) {
    #expect(Quantity(text)?.bytes == bytes)
  }

  @Test(
    "Times as people write them",
    arguments: [
      ("60", .seconds(60)), ("60s", .seconds(60)), ("1.5m", .seconds(90)), ("2h", .seconds(7200)),
      ("500ms", .milliseconds(500)), ("0.25s", .milliseconds(250)), ("1d", .seconds(86_400)),
      ("1.5ms", nil), ("10GB", nil), ("s", nil), ("999999999999999999d", nil),
    ] as [(String, Duration?)]
  )
  func times(_ text: String, _ duration: Duration?) {
    #expect(Quantity(text)?.duration == duration)
  }
}
