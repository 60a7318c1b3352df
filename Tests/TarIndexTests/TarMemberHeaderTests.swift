import TarIndex
import Testing

@Suite struct TarMemberHeaderTests {
  /// Names of many lengths and kinds; all are of one sample each.
  static let oddNames: [[UInt8]] = {
    var names = [1, 2, 95, 96, 97, 98, 150, 151, 152, 251, 252, 253, 254, 300].map { length in
      [UInt8](repeating: UInt8(ascii: "k"), count: length) + Array(".jpg".utf8)
    }
    names.append(Array("a/b/c.seg.png".utf8))
    for depth in [10, 48, 49, 50, 74, 100, 145] {
      names.append(Array((String(repeating: "d/", count: depth) + "key.jpg").utf8))
    }
    // A slash where it leaves exactly 155 and 100 bytes, and one off either.
    for (prefix, last) in [(155, 100), (156, 99), (154, 101), (155, 101), (156, 100)] {
      let folder = [UInt8](repeating: UInt8(ascii: "p"), count: prefix)
      let file = [UInt8](repeating: UInt8(ascii: "f"), count: last - 4)
      names.append(folder + [UInt8(ascii: "/")] + file + Array(".txt".utf8))
    }
    names.append([0xFF, 0xFE, 0x80] + Array(".bin".utf8))
    names.append([UInt8](repeating: 0xE9, count: 200) + Array(".bin".utf8))
    names.append(Array("line\nbreak=1 2.txt".utf8))
    return names
  }()

  /// What a scanner makes of one member; the body is hopped over.
  private func scan(_ header: TarMemberHeader, sizeBytes: Int64) -> ShardIndex {
    let padding = Int64(TarMemberHeader.paddingBytes(after: sizeBytes))
    let end = Int64(header.bytes.count) + sizeBytes + padding
    let zeros = [UInt8](repeating: 0, count: TarMemberHeader.endBytes)
    var scanner = TarScanner(objectBytes: end + Int64(zeros.count), limits: TarLimits())
    header.bytes.withUnsafeBytes { scanner.feed($0, at: 0) }
    #expect(scanner.nextOffset == end)
    zeros.withUnsafeBytes { scanner.feed($0, at: end) }
    return scanner.snapshot()
  }

  private func name(in index: ShardIndex) -> [UInt8] {
    index.withKey(ofSample: 0) { Array($0) } + [UInt8(ascii: ".")]
      + index.withFieldName(0) { Array($0) }
  }

  @Test("a name comes back as it went", arguments: oddNames)
  func names(_ name: [UInt8]) throws {
    let header = TarMemberHeader(name: name, sizeBytes: 3, modifiedSeconds: 1_600_000_000)
    #expect(header.bytes.count % 512 == 0)
    let index = scan(header, sizeBytes: 3)
    try #require(index.damage == nil)
    try #require(index.sampleCount == 1)
    #expect(self.name(in: index) == name)
    #expect(index.member(0).dataOffset == Int64(header.bytes.count))
  }

  @Test("names that fit ustar take one block")
  func oneBlock() {
    for (length, blocks) in [(4, 1), (96, 1), (97, 3), (300, 3)] {
      let name = [UInt8](repeating: UInt8(ascii: "k"), count: length) + Array(".jpg".utf8)
      let header = TarMemberHeader(name: name, sizeBytes: 0, modifiedSeconds: 0)
      #expect(header.bytes.count == blocks * 512)
    }
  }

  @Test(
    "a size comes back as it went",
    arguments: [0, 1, 511, 512, 513, 0o777_7777_7777, 0o1_0000_0000_0000, 1 << 45]
  )
  func sizes(_ size: Int64) throws {
    let header = TarMemberHeader(
      name: Array("a.jpg".utf8),
      sizeBytes: size,
      modifiedSeconds: 0
    )
    let index = scan(header, sizeBytes: size)
    try #require(index.damage == nil)
    try #require(index.sampleCount == 1)
    #expect(index.member(0).sizeBytes == size)
  }

  @Test(
    "a time comes back as it went",
    arguments: [0, 1, 1_600_000_000, 0o777_7777_7777, 0o1_0000_0000_0000, -1, -86_400]
  )
  func times(_ seconds: Int64) throws {
    let header = TarMemberHeader(
      name: Array("a.jpg".utf8),
      sizeBytes: 0,
      modifiedSeconds: seconds
    )
    let index = scan(header, sizeBytes: 0)
    try #require(index.sampleCount == 1)
    #expect(index.member(0).modifiedSeconds == seconds)
  }

  @Test("no time and no name makes a header that traps or is damaged")
  func extremes() {
    for seconds in [Int64.min, Int64.max] {
      let header = TarMemberHeader(
        name: [0x61, 0, 0x2E, 0x62],
        sizeBytes: Int64.max,
        modifiedSeconds: seconds
      )
      #expect(header.bytes.count % 512 == 0)
    }
    // A reader ends a name at its NUL; what matters is that the next member is found.
    let header = TarMemberHeader(name: [0x61, 0, 0x2E, 0x62], sizeBytes: 0, modifiedSeconds: 0)
    let next = TarMemberHeader(name: Array("n.jpg".utf8), sizeBytes: 0, modifiedSeconds: 0)
    let end = [UInt8](repeating: 0, count: TarMemberHeader.endBytes)
    let walk = Walk(header.bytes + next.bytes + end)
    #expect(walk.errorName == nil)
    #expect(walk.samples.last == "n: jpg=0")
  }

  @Test("each block's checksum is the sum of its bytes, with blanks for itself")
  func checksums() {
    for name in Self.oddNames {
      let header = TarMemberHeader(name: name, sizeBytes: 1 << 40, modifiedSeconds: -5)
      for start in [0, header.bytes.count - 512] {
        let block = header.bytes[start..<start + 512]
        let stored = block[(start + 148)..<(start + 154)]
        let blanked = block.enumerated().map { (148..<156).contains($0) ? 0x20 : Int($1) }
        let digits = String(decoding: stored, as: UTF8.self)
        #expect(Int(digits, radix: 8) == blanked.reduce(0, +))
        #expect(Array(block[(start + 154)..<(start + 156)]) == [0, 0x20])
      }
    }
  }
}
