import FoundationEssentials

/// Random numbers for tests, the same ones in every run of a seed.
struct TestGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let word = (state >> 18 ^ state) >> 27
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return word << 32 ^ (state >> 18 ^ state) >> 27
  }

  /// True once in so many times.
  mutating func once(in times: Int) -> Bool {
    Int.random(in: 0..<times, using: &self) == 0
  }
}

/// How much the tests try: little by default, more with `WDSFS_TEST_LONG=1`.
enum Effort {
  static let isLong = ProcessInfo.processInfo.environment["WDSFS_TEST_LONG"] == "1"

  static func seeds(_ short: Int, long: Int) -> Range<UInt64> {
    0..<UInt64(isLong ? long : short)
  }
}
