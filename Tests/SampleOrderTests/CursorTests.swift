import SampleOrder
import Testing

@Suite struct CursorTests {
  /// A cursor with something in every field.
  static func random(using generator: inout TestGenerator) throws -> Cursor {
    let worldSize = Int.random(in: 1...9, using: &generator)
    var cursor = Cursor(
      shuffle: OrderParameters.Shuffle.allCases.randomElement(using: &generator) ?? .none,
      seed: generator.next(),
      shuffleWindow: Int.random(in: 1...5, using: &generator),
      equalize: [nil, .drop, .repeat].randomElement(using: &generator) ?? nil,
      lanesAsked: [nil, 24].randomElement(using: &generator) ?? nil
    )
    cursor.sequence = Int.random(in: 0...1_000_000, using: &generator)
    if worldSize > 2, generator.once(in: 3) { cursor.ranks = [0, 2] }
    for name in ["train", "va\"l \u{1F600}\\\n"] {
      var legs: [Leg] = []
      for size in [2, worldSize] {
        let ranks = (0..<size).map { _ in progress(using: &generator) }
        legs.append(try Leg(worldSize: size, lanes: size * 4, ranks: ranks))
      }
      cursor.splits[name] = SplitCursor(
        fingerprint: "f\(generator.next())",
        partition: OrderParameters.Partition.allCases.randomElement(using: &generator) ?? .samples,
        skippedShards: generator.once(in: 2) ? [] : [3, 17],
        earlier: [legs[0]],
        present: legs[1]
      )
    }
    return cursor
  }

  static func progress(using generator: inout TestGenerator) -> Progress {
    if generator.once(in: 8) { return Progress(epoch: 1, consumed: .all) }
    var consumed = Consumed(below: Int.random(in: 0...100_000, using: &generator))
    let spread = [10, 100, 100_000].randomElement(using: &generator) ?? 10
    for _ in 0..<Int.random(in: 0...60, using: &generator) {
      let lower = consumed.next + Int.random(in: 0...spread, using: &generator)
      consumed.insert(
        lower..<lower + Int.random(in: 1...[1, 3, 90][spread % 3], using: &generator)
      )
    }
    return Progress(
      epoch: Int.random(in: 0...3, using: &generator),
      consumed: consumed,
      committedAt: generator.once(in: 2) ? nil : Int64.random(in: 0...1 << 41, using: &generator),
      length: generator.once(in: 2) ? nil : Int.random(in: 0...1 << 46, using: &generator)
    )
  }

  @Test("a cursor that was written reads back as it was")
  func roundTrip() throws {
    for seed in Effort.seeds(150, long: 5_000) {
      var generator = TestGenerator(seed: seed)
      let cursor = try Self.random(using: &generator)
      let text = cursor.encoded()
      let decoded = try Cursor(decoding: text)
      #expect(decoded == cursor, "seed \(seed)")
      #expect(decoded.encoded() == text, "seed \(seed)")
    }
  }

  @Test("the file is for people, and small: some ten bytes a rank and twenty a gap")
  func readable() throws {
    var consumed = Consumed(below: 12_800)
    for range in [12_803..<12_805, 14_000..<14_064] { consumed.insert(range) }
    var dense = Consumed(below: 10)
    for position in stride(from: 12, to: 60, by: 2) { dense.insert(position) }
    let present = try Leg(
      worldSize: 3,
      lanes: 24,
      ranks: [
        Progress(epoch: 2, consumed: consumed, length: 40_000),
        Progress(epoch: 2, consumed: Consumed(below: 12_000), committedAt: 1_763_000_000_000),
        Progress(epoch: 1, consumed: dense),
      ]
    )
    let split = SplitCursor(fingerprint: "9f2c", partition: .samples, present: present)
    let cursor = Cursor(shuffle: .full, seed: 7, splits: ["train": split])
    let text = String(decoding: cursor.encoded(), as: UTF8.self)
    #expect(
      text == """
        {
          "format": "wdsfs cursor",
          "version": 1,
          "order": 1,
          "sequence": 0,
          "seed": 7,
          "shuffle": "full",
          "shuffleWindow": 1,
          "equalize": null,
          "lanes": null,
          "ranks": null,
          "splits": {
            "train": {
              "fingerprint": "9f2c",
              "partition": "samples",
              "skippedShards": [],
              "legs": [
                {
                  "worldSize": 3,
                  "lanes": 24,
                  "committed": {"1": 1763000000000},
                  "lengths": {"0": 40000},
                  "progress": [
                    "2:12800 12803..<12805 14000..<14064",
                    "2:12000",
                    "1:10 12+555555555555"
                  ]
                }
              ]
            }
          },
          "checksum": "\(text.suffix(20).prefix(16))"
        }

        """
    )
  }

  @Test("a torn cursor is refused, wherever it was torn, and so is one with any byte changed")
  func damaged() throws {
    var generator = TestGenerator(seed: 3)
    let text = try Self.random(using: &generator).encoded()
    for length in text.indices {
      #expect(throws: CursorError.self) { try Cursor(decoding: Array(text[..<length])) }
    }
    for place in text.indices where Effort.isLong || place % 3 == 0 {
      var changed = text
      changed[place] ^= UInt8.random(in: 1...255, using: &generator)
      #expect(throws: CursorError.self, "byte \(place)") { try Cursor(decoding: changed) }
    }
  }

  @Test("hostile JSON is refused without a trap: depth, numbers, kinds, size")
  func hostile() throws {
    let texts = [
      "", "{}", "[]", "null", "\u{0}", "{\"format\": \"wdsfs cursor\"}",
      String(repeating: "[", count: 1_000_000),
      String(repeating: "{\"a\":", count: 500_000),
      "{\"format\": \"wdsfs cursor\", \"version\": 1e400, \"order\": 1, \"checksum\": \"\"}",
      "{\"format\": \"wdsfs cursor\", \"version\": -99999999999999999999, \"order\": 1}",
      "{\"format\": 7, \"version\": 1, \"order\": 1, \"checksum\": \"\"}",
    ]
    for text in texts {
      #expect(throws: CursorError.self) { try Cursor(decoding: Array(text.utf8)) }
    }
    #expect(throws: CursorError.self) { try Cursor(decoding: [0xFF, 0xFE, 0x00]) }
    let big = [UInt8](repeating: 0x20, count: Cursor.maxBytes + 1)
    #expect(throws: CursorError.tooLarge(sizeBytes: big.count, maxBytes: Cursor.maxBytes)) {
      try Cursor(decoding: big)
    }
  }

  @Test(
    "values that make no order are refused even with a right checksum",
    arguments: [
      ("\"worldSize\": 3", "\"worldSize\": 0"),
      ("\"worldSize\": 3", "\"worldSize\": 4"),
      ("\"worldSize\": 3", "\"worldSize\": 9223372036854775807"),
      ("\"worldSize\": 3", "\"worldSize\": 99999999999999999999999"),
      ("\"lanes\": 24", "\"lanes\": 25"),
      ("\"lanes\": 24", "\"lanes\": 0"),
      ("\"shuffleWindow\": 1", "\"shuffleWindow\": 0"),
      ("\"sequence\": 0", "\"sequence\": -1"),
      ("\"seed\": 7", "\"seed\": -7"),
      ("\"seed\": 7", "\"seed\": 7.5"),
      ("\"shuffle\": \"full\"", "\"shuffle\": \"fuller\""),
      ("\"partition\": \"samples\"", "\"partition\": \"auto\""),
      ("\"ranks\": null", "\"ranks\": [3]"),
      ("\"ranks\": null", "\"ranks\": [1, 1]"),
      ("\"skippedShards\": []", "\"skippedShards\": [-1]"),
      ("\"0\": 1000", "\"0\": -1"), ("\"0\": 1000", "\"0\": 9223372036854775807"),
      ("2:128", "2:-128"), ("2:128", "2:99999999999999999999"), ("2:128", ":128"),
      ("2:128", "2:128 "), ("2:128", "2:128 128..<130"), ("2:128", "2:128 140..<130"),
      ("2:128", "2:128 150..<160 140..<145"), ("2:128", "2:128 140+5"), ("2:128", "2:128 140+zz"),
      ("2:128", "2:128 140+00"), ("2:128", "2:128 140+"), ("2:128", "2:all 140..<141"),
      ("2:128", "9999999999999999:0"), ("2:128", "2:128 9223372036854775807+ff"),
    ]
  )
  func badValues(old: String, new: String) throws {
    let ranks = [Progress](
      repeating: Progress(epoch: 2, consumed: Consumed(below: 128), length: 1000),
      count: 3
    )
    let split = SplitCursor(
      fingerprint: "9f2c",
      partition: .samples,
      present: try Leg(worldSize: 3, lanes: 24, ranks: ranks)
    )
    let cursor = Cursor(shuffle: .full, seed: 7, splits: ["train": split])
    let text = String(decoding: cursor.encoded(), as: UTF8.self)
    #expect(try Cursor(decoding: Checksum.renewed(text)) == cursor)
    let changed = Checksum.replacing(old, with: new, in: text)
    #expect(changed != text)
    #expect(throws: CursorError.self) { try Cursor(decoding: Checksum.renewed(changed)) }
  }

  @Test("a newer format and an unknown order are refused with both versions")
  func newer() throws {
    let text = String(decoding: Cursor().encoded(), as: UTF8.self)
    let format = Checksum.replacing("\"version\": 1", with: "\"version\": 2", in: text)
    #expect(throws: CursorError.newerFormat(found: 2, known: 1)) {
      try Cursor(decoding: Array(format.utf8))
    }
    let order = Checksum.replacing("\"order\": 1", with: "\"order\": 5", in: text)
    #expect(throws: CursorError.otherOrder(found: 5, known: 1)) {
      try Cursor(decoding: Checksum.renewed(order))
    }
  }

  @Test("what a node knew of lengths makes its cursor no other run's, before or after a resume")
  func lengths() throws {
    let ranks = [Progress(consumed: Consumed(below: 7)), Progress(consumed: Consumed(below: 3))]
    var first = Cursor(
      splits: [
        "train": SplitCursor(
          fingerprint: "f",
          partition: .shards,
          present: try Leg(worldSize: 2, lanes: 2, ranks: ranks)
        )
      ]
    )
    var second = first
    second.splits["train"]?.present.ranks[0].length = 20
    let merged = try Cursor.merge([first, second]).cursor
    #expect(merged.splits["train"]?.present.ranks.map(\.length) == [20, nil])
    try first.resume(atWorldSize: 4)
    try second.resume(atWorldSize: 4)
    #expect(first == second)
  }

  @Test("another dataset, and options that contradict, are refused with both values")
  func contradictions() throws {
    let present = try Leg(worldSize: 1, lanes: 1, ranks: [Progress()])
    let split = SplitCursor(fingerprint: "old", partition: .samples, present: present)
    let cursor = Cursor(shuffle: .full, seed: 7, splits: ["train": split])
    #expect(throws: CursorError.otherDataset(split: "train", saved: "old", present: "new")) {
      try cursor.check(split: "train", fingerprint: "new")
    }
    try cursor.check(split: "train", fingerprint: "old")
    try OrderOptions().check(against: cursor)
    try OrderOptions(shuffle: .full, seed: 7, shuffleWindow: 1, partition: .samples).check(
      against: cursor
    )
    let wrong: [(OrderOptions, CursorError)] = [
      (
        OrderOptions(shuffle: .shards),
        .contradicts(option: "--shuffle", saved: "full", given: "shards")
      ),
      (OrderOptions(seed: 8), .contradicts(option: "--seed", saved: "7", given: "8")),
      (
        OrderOptions(shuffleWindow: 2),
        .contradicts(option: "--shuffle-window", saved: "1", given: "2")
      ),
      (
        OrderOptions(equalize: .drop),
        .contradicts(option: "--equalize", saved: "not set", given: "drop")
      ),
      (
        OrderOptions(partition: .shards),
        .contradicts(option: "--partition", saved: "samples", given: "shards")
      ),
    ]
    for (options, error) in wrong {
      #expect(throws: error) { try options.check(against: cursor) }
    }
  }
}

/// Edits a cursor as somebody would who knows how.
enum Checksum {
  static func replacing(_ old: String, with new: String, in text: String) -> String {
    let (bytes, old) = (Array(text.utf8), Array(old.utf8))
    guard let place = bytes.indices.first(where: { bytes[$0...].starts(with: old) }) else {
      return text
    }
    let end = place + old.count
    return String(decoding: bytes[..<place] + Array(new.utf8) + bytes[end...], as: UTF8.self)
  }

  static func renewed(_ text: String) -> [UInt8] {
    let body = Array(text.utf8.dropLast("\"checksum\": \"0123456789abcdef\"\n}\n".utf8.count))
    var hash: UInt64 = 14_695_981_039_346_656_037
    for byte in body {
      hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211
    }
    let digits = String(hash, radix: 16)
    let padded = String(repeating: "0", count: 16 - digits.count) + digits
    return body + Array("\"checksum\": \"\(padded)\"\n}\n".utf8)
  }
}
