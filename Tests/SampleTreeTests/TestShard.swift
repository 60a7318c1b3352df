/// A tar as a test wants it: members of any name, one after the other.
struct TestShard {
  struct Member {
    var name: [UInt8]
    var bytes: [UInt8]
    var isSparse = false
  }

  static let modifiedSeconds = 1_600_000_000

  private(set) var bytes: [UInt8] = []

  init() {}

  /// Turns a byte over.
  mutating func damage(at offset: Int) {
    bytes[offset] ^= 0xFF
  }

  init(_ members: [Member], isEnded: Bool = true) {
    for member in members { add(member) }
    if isEnded { bytes += [UInt8](repeating: 0, count: 1024) }
  }

  /// Samples of the fields `jpg` and `cls`, which tell where they come from.
  ///
  /// - Parameters:
  ///   - count: How many.
  ///   - shard: Becomes part of the keys.
  ///   - fieldBytes: Of each `jpg`.
  /// - Returns: The shard, with its end.
  static func samples(_ count: Int, shard: Int, fieldBytes: Int = 20) -> TestShard {
    TestShard(
      (0..<count).flatMap { number -> [Member] in
        let key = self.key(shard: shard, number: number)
        let text = Array("\(key) ".utf8)
        let picture = (0..<fieldBytes).map { text[$0 % text.count] }
        return [
          Member(name: Array("\(key).jpg".utf8), bytes: picture),
          Member(name: Array("\(key).cls".utf8), bytes: Array(String(number).utf8)),
        ]
      }
    )
  }

  static func key(shard: Int, number: Int) -> String { "s\(shard)n\(number)" }

  mutating func add(_ member: Member) {
    if member.name.count > 100 {
      header(Array("long".utf8), size: member.name.count + 1, type: "L")
      block(member.name + [0])
    }
    if member.isSparse {
      // One piece at 0, of all the bytes, as old GNU tar writes it; the field is longer by a hole.
      header(Array(member.name.prefix(100)), size: member.bytes.count, type: "S") { header in
        header.replaceSubrange(386..<398, with: Self.octal(0, 12))
        header.replaceSubrange(398..<410, with: Self.octal(member.bytes.count, 12))
        header.replaceSubrange(483..<495, with: Self.octal(member.bytes.count + 4096, 12))
      }
    } else {
      header(Array(member.name.prefix(100)), size: member.bytes.count, type: "0")
    }
    block(member.bytes)
  }

  private mutating func block(_ data: [UInt8]) {
    bytes += data
    bytes += [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
  }

  private mutating func header(
    _ name: [UInt8],
    size: Int,
    type: Character,
    edit: (inout [UInt8]) -> Void = { _ in }
  ) {
    var header = [UInt8](repeating: 0, count: 512)
    header.replaceSubrange(0..<name.count, with: name)
    header.replaceSubrange(100..<108, with: Self.octal(0o644, 8))
    header.replaceSubrange(124..<136, with: Self.octal(size, 12))
    header.replaceSubrange(136..<148, with: Self.octal(Self.modifiedSeconds, 12))
    header[156] = type.asciiValue ?? 0
    header.replaceSubrange(257..<265, with: Array("ustar  \u{0}".utf8))
    edit(&header)
    header.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
    let sum = header.reduce(0) { $0 + Int($1) }
    header.replaceSubrange(148..<156, with: Self.octal(sum, 7) + [0x20])
    bytes += header
  }

  private static func octal(_ number: Int, _ width: Int) -> [UInt8] {
    let digits = String(number, radix: 8)
    return Array((String(repeating: "0", count: width - 1 - digits.utf8.count) + digits).utf8) + [0]
  }
}

extension TestShard.Member {
  init(_ name: String, _ text: String, isSparse: Bool = false) {
    self.init(name: Array(name.utf8), bytes: Array(text.utf8), isSparse: isSparse)
  }
}
