import CXXHash
import Glibc
import TarIndex
import TestSupport
import Testing

@Suite struct ShardIndexTests {
  /// Pages of many rows, explicit pages, times that vary, keys of many lengths, warnings, damage.
  static let rich: [UInt8] =
    TarWriter {
      $0.samples(40)
      $0.member("README")
      for number in 0..<8 {
        $0.header(Array("dir\(number).d/".utf8), type: "5")
        $0.pax([("mtime", "17000000\(10 + number).5")])
        $0.member("key\(number * number * number).jpg", TarWriter.data(number * 300))
        $0.member("key\(number * number * number).txt", [1])
      }
      for number in 0..<200 { $0.member("wide.f\(number)", TarWriter.data(number)) }
      $0.member("last.jpg", [1])
      $0.member("damaged.jpg", [1])
      $0.header(Array("x".utf8), type: "x") { $0.put(TarWriter.base256(4 << 30), at: 124) }
      $0.end()
    }.bytes

  @Test("offsets and sizes lead to the data, in pages of every kind")
  func places() {
    let walk = Walk(Self.rich)
    #expect(walk.index.sampleCount == 50)
    for number in 0..<40 {
      let jpg = walk.content("\(100_000 + number).jpg", inSample: number)
      #expect(jpg == TarWriter.data(700 + 13 * number))
      #expect(walk.content("cls", inSample: number) == TarWriter.data(number % 3))
    }
    for number in 0..<8 {
      #expect(walk.content("jpg", inSample: 40 + number) == TarWriter.data(number * 300))
      #expect(walk.index.member(80 + 2 * number).modifiedSeconds == 1_700_000_010 + Int64(number))
    }
    for field in 0..<200 {
      #expect(walk.content("wide.f\(field)", inSample: 48) == TarWriter.data(field))
    }
    #expect(walk.content("last.jpg", inSample: 49) == [1])
  }

  @Test("a sample's span holds its headers and its padding")
  func spans() {
    let archive = TarWriter {
      $0.pax([("mtime", "1")])
      $0.member("1.a", [1])
      $0.member("README", [1])
      $0.member("1.b", TarWriter.data(513))
      $0.member("2.a", [1])
      $0.header(Array("3.a".utf8), size: 3)
      $0.raw([1, 2, 3])
    }.bytes
    let index = Walk(archive).index
    let spans: [Range<Int64>] = [0..<4608, 4608..<5632, 5632..<6147]
    #expect((0..<3).map { index.span(ofSample: $0) } == spans)
  }

  @Test("an index comes back from its flat form as it was")
  func roundTrip() throws {
    for archive in OddTars.all.map(\.archive) + [Self.rich] {
      let walk = Walk(archive)
      let storage = walk.index.withSerialized { IndexStorage(copying: $0) }
      let again = try ShardIndex(validating: storage)
      #expect(again.sampleCount == walk.index.sampleCount)
      #expect(again.objectBytes == Int64(archive.count))
      #expect(again.isComplete)
      #expect(again.damage == walk.index.damage)
      #expect(again.warnings == walk.index.warnings)
      #expect((0..<again.sampleCount).map { Walk.describe($0, of: again) } == walk.samples)
      #expect(again.withSerialized { Array($0) } == walk.serialized)
      askEverything(again)
    }
  }

  @Test("a snapshot at any time is sound, and holds a beginning of the samples")
  func snapshots() throws {
    let whole = Walk(Self.rich).samples
    var scanner = TarScanner(objectBytes: Int64(Self.rich.count))
    var lastCount = 0
    for start in stride(from: 0, to: Self.rich.count, by: 512) where !scanner.isDone {
      Array(Self.rich[start..<start + 512]).withUnsafeBytes { scanner.feed($0, at: Int64(start)) }
      guard scanner.sampleCount > lastCount else { continue }
      lastCount = scanner.sampleCount
      let snapshot = scanner.snapshot()
      let checked = try snapshot.withSerialized {
        try ShardIndex(validating: IndexStorage(copying: $0))
      }
      let samples = (0..<checked.sampleCount).map { Walk.describe($0, of: checked) }
      #expect(samples.count == lastCount)
      #expect(whole.starts(with: samples))
    }
    #expect(lastCount == 50)
  }

  @Test("a mapped file serves as well")
  func mapping() throws {
    let bytes = Walk(Self.rich).serialized
    let region = mmap(nil, bytes.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    let base = try #require(region)
    try #require(base != MAP_FAILED)
    base.copyMemory(from: bytes, byteCount: bytes.count)
    let mapped = UnsafeRawBufferPointer(start: base, count: bytes.count)
    let index = try ShardIndex(validating: IndexStorage(adoptingMapping: mapped))
    #expect(Walk.describe(0, of: index) == "100000: jpg=700 cls=0")
  }

  @Test("an index of a rejected shard says why")
  func rejected() throws {
    let index = ShardIndex.rejected(.corruptCompression, objectBytes: 77)
    let storage = index.withSerialized { IndexStorage(copying: $0) }
    let again = try ShardIndex(validating: storage)
    #expect(again.damage == TarDamage(errorClass: .corruptCompression, offset: 0))
    #expect(again.sampleCount == 0)
    #expect(again.objectBytes == 77)
  }

  @Test("very many fields in a sample are found at once, and grouped in linear time")
  func manyFields() throws {
    let archive = TarWriter {
      for number in 0..<3000 { $0.member("k.f\(number)", [1]) }
      $0.member("k.f17", [2])
      $0.end()
    }.bytes
    let walk = Walk(archive)
    #expect(walk.index.fieldOrdinals(ofSample: 0) == 0..<3000)
    #expect(walk.warnings == ["duplicate-field": 1])
    for number in [0, 17, 1999, 2999] {
      let name = Array("k.f\(number)".utf8)
      #expect(name.withUnsafeBytes { walk.index.ordinal(named: $0, inSample: 0) } == number)
    }
    let missing = Array("k.f3000".utf8)
    #expect(missing.withUnsafeBytes { walk.index.ordinal(named: $0, inSample: 0) } == nil)
  }

  // MARK: Hostile bytes

  /// A smaller index with pages of both kinds, for tests that change each byte.
  static let small = Walk(
    TarWriter {
      $0.samples(3)
      $0.member("README")
      for number in 0..<130 { $0.member("w.\(number)") }
      $0.member("short.a", [1])
      $0.member("longer.a", [1])
      $0.member("s.a", [1])
      $0.end()
    }.bytes
  ).serialized

  private func validated(_ bytes: [UInt8]) throws(ShardIndexError) -> ShardIndex {
    try ShardIndex(validating: bytes.withUnsafeBytes { IndexStorage(copying: $0) })
  }

  @Test("an index with any byte changed is refused")
  func everyByteFlipped() {
    for offset in Self.small.indices {
      var bytes = Self.small
      bytes[offset] ^= 0x10
      #expect(throws: ShardIndexError.self, "byte \(offset)") { try validated(bytes) }
    }
  }

  @Test("an index cut at any length is refused")
  func everyLength() {
    for length in 0..<Self.small.count {
      #expect(throws: ShardIndexError.self, "\(length) bytes") {
        try validated(Array(Self.small[..<length]))
      }
    }
  }

  @Test("a changed index with a checksum that fits is refused, or answers every question")
  func vouchedChanges() {
    var accepted = 0
    for offset in 16..<Self.small.count {
      for change: UInt8 in [0x01, 0x80, 0xFF] {
        var bytes = Self.small
        bytes[offset] ^= change
        Self.seal(&bytes)
        guard let index = try? validated(bytes) else { continue }
        accepted += 1
        askEverything(index)
      }
    }
    // Names, keys, times and sizes may be others; places, counts and tables may not.
    #expect(accepted < Self.small.count * 2)
  }

  @Test("chance bytes behind a sound header are refused, or answer every question")
  func vouchedChance() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<3000 {
      var bytes = Self.small
      for _ in 0..<Int.random(in: 1...8, using: &generator) {
        let offset = Int.random(in: 16..<bytes.count - 8, using: &generator)
        let numbers: [UInt64] = [
          0, 1, 0x7F, 0xFF, 0xFFFF_FFFF, .max, 1 << 63, UInt64(bytes.count),
        ]
        let number = numbers.randomElement(using: &generator) ?? 0
        let width = [1, 2, 4, 8].randomElement(using: &generator) ?? 1
        withUnsafeBytes(of: number.littleEndian) { bytes.put(Array($0.prefix(width)), at: offset) }
      }
      Self.seal(&bytes)
      if let index = try? validated(bytes) { askEverything(index) }
    }
  }

  @Test("each reason to refuse an index is named")
  func reasons() {
    #expect(throws: ShardIndexError.tooShort(bytes: 5)) { try validated([1, 2, 3, 4, 5]) }
    var other = Self.small
    other[0] ^= 1
    #expect(throws: ShardIndexError.notAnIndex) { try validated(other) }
    other = Self.small
    other[16] = 9
    #expect(throws: ShardIndexError.unsupportedVersion(9)) { try validated(other) }
    other = Self.small + [0]
    #expect(
      throws: ShardIndexError.wrongLength(stated: UInt64(Self.small.count), found: other.count)
    ) { try validated(other) }
    other = Self.small
    other[300] ^= 1
    #expect(throws: ShardIndexError.wrongChecksum) { try validated(other) }
    other = Self.small
    other[68] = 1
    Self.seal(&other)
    #expect(throws: ShardIndexError.malformed("flags")) { try validated(other) }
  }

  /// Makes the checksum fit, as whoever forges an index would.
  static func seal(_ bytes: inout [UInt8]) {
    let sum = bytes.withUnsafeBytes {
      wdsfs_xxh3_64($0.baseAddress?.advanced(by: 16), $0.count - 16, 0)
    }
    withUnsafeBytes(of: sum.littleEndian) { bytes.put(Array($0), at: 8) }
  }

  // MARK: Size

  @Test("a sample of three fields costs at most 16 bytes")
  func bytesPerSample() {
    let sampleCount = 20_000
    var generator = SeededGenerator(seed: 7)
    var scanner = TarScanner(objectBytes: 1 << 40)
    var writer = TarWriter()
    for number in 0..<sampleCount {
      let digits = String(number)
      let key = String(repeating: "0", count: 9 - digits.count) + digits
      for (field, sizes) in [("jpg", 20_000...180_000), ("cls", 1...3), ("json", 100...900)] {
        let size = Int.random(in: sizes, using: &generator)
        writer.header(Array("\(key).\(field)".utf8), size: size)
        // The one body that is looked at.
        guard field == "cls" else { continue }
        writer.raw(Array(digits.utf8.suffix(size)))
        writer.pad()
      }
      guard writer.bytes.count > 100_000 || number == sampleCount - 1 else { continue }
      feedHeaders(writer.bytes, to: &scanner)
      writer = TarWriter()
    }
    let index = scanner.snapshot()
    #expect(index.sampleCount == sampleCount - 1)
    let perSample = Double(index.serializedBytes) / Double(index.sampleCount)
    #expect(perSample <= 16)
    print("index: \(perSample) bytes per sample of three fields")
  }

  /// Feeds blocks that lie beside each other here to a scanner that hops from one to the next.
  private func feedHeaders(_ headers: [UInt8], to scanner: inout TarScanner) {
    headers.withUnsafeBytes { bytes in
      for start in stride(from: 0, to: bytes.count, by: 512) {
        let header = UnsafeRawBufferPointer(rebasing: bytes[start..<start + 512])
        scanner.feed(header, at: scanner.nextOffset)
      }
    }
  }
}
