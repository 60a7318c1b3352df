import FuzzTargets
import Glibc
import TestSupport
import Testing

/// Each target by seeded chance changes of its corpus.
@Suite struct ChanceTests {
  /// For how long each target is tried with new inputs; without it, for two seconds with those that
  /// every run has.
  private static let askedSeconds =
    getenv("WDSFS_FUZZ_SECONDS")
    .flatMap { Double(String(cString: $0)) }

  /// Inputs that are tried however slow the machine is.
  private static let minInputs = 20

  /// Far above what any input of this size takes, in nanoseconds of the processor.
  private static let maxInputTime = 5_000_000_000

  @Test("Whatever the bytes are, the target takes them", arguments: FuzzTarget.allCases)
  func changes(target: FuzzTarget) throws {
    let seed = Self.askedSeconds == nil ? 1 : UInt64.random(in: 0...UInt64.max)
    print("fuzz \(target.rawValue): seed \(seed)")
    var generator = SeededGenerator(seed: seed)
    let corpus = Corpus.inputs(of: target)
    try #require(corpus.count >= 3)
    for input in corpus { target.run(input) }
    let clock = ContinuousClock()
    let end = clock.now + .seconds(Self.askedSeconds ?? 2)
    var count = 0
    while clock.now < end || count < Self.minInputs {
      var input = corpus[Int.random(in: 0..<corpus.count, using: &generator)]
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        Change.random(using: &generator).apply(to: &input, from: corpus, using: &generator)
      }
      let start = Self.processorTime()
      target.run(input)
      let took = Self.processorTime() - start
      #expect(took < Self.maxInputTime, "seed \(seed), input \(count): \(input.prefix(200))")
      count += 1
    }
    print("fuzz \(target.rawValue): \(count) inputs")
  }

  /// What this thread has had of the processor.
  private static func processorTime() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}

/// One change of an input.
private enum Change: CaseIterable {
  case bit, byte, number, cut, double, remove, splice, checksum

  static func random(using generator: inout SeededGenerator) -> Change {
    allCases.randomElement(using: &generator) ?? .bit
  }

  func apply(
    to input: inout [UInt8],
    from corpus: [[UInt8]],
    using generator: inout SeededGenerator
  ) {
    guard !input.isEmpty else { return input.append(UInt8.random(in: 0...255, using: &generator)) }
    let place = Int.random(in: 0..<input.count, using: &generator)
    let length = Int.random(in: 1...min(512, input.count - place), using: &generator)
    switch self {
    case .bit: input[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
    case .byte: input[place] = UInt8.random(in: 0...255, using: &generator)
    case .number:
      let numbers = [
        "0", "-1", "9223372036854775807", "18446744073709551616", "99999999999", "1e999",
      ]
      let digits = Array((numbers.randomElement(using: &generator) ?? "0").utf8)
      input.replaceSubrange(place..<min(input.count, place + digits.count), with: digits)
    case .cut: input.removeLast(input.count - place)
    case .double where input.count < 1 << 16:
      input.insert(contentsOf: input[place..<place + length], at: place)
    case .double: break
    case .remove: input.removeSubrange(place..<place + length)
    case .splice:
      guard let other = corpus.randomElement(using: &generator), !other.isEmpty else { return }
      let start = Int.random(in: 0..<other.count, using: &generator)
      input.replaceSubrange(place..<place + length, with: other[start...].prefix(length))
    case .checksum:
      // Most changes of a tar end at a header's checksum: so one is made right.
      let block = place / 512 * 512
      guard input.count - block >= 512 else { return }
      input.replaceSubrange(block + 148..<block + 156, with: repeatElement(0x20, count: 8))
      let sum = input[block..<block + 512].reduce(0) { $0 + Int($1) }
      let digits = Array(String(sum, radix: 8).utf8)
      let field = repeatElement(UInt8(ascii: "0"), count: max(0, 6 - digits.count)) + digits + [0]
      input.replaceSubrange(block + 148..<block + 155, with: field.prefix(7))
    }
  }
}
