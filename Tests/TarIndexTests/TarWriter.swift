/// Builds archives byte by byte, so that every byte can be wrong on purpose.
struct TarWriter {
  enum Magic {
    case posix
    case gnu
    case v7

    var bytes: [UInt8] {
      switch self {
      case .posix: Array("ustar\u{0}00".utf8)
      case .gnu: Array("ustar  \u{0}".utf8)
      case .v7: Array(repeating: 0, count: 8)
      }
    }
  }

  private(set) var bytes: [UInt8] = []

  init(_ build: (inout TarWriter) -> Void = { _ in }) {
    build(&self)
  }

  // MARK: Pieces

  mutating func raw(_ more: [UInt8]) {
    bytes += more
  }

  mutating func pad() {
    bytes += Array(repeating: 0, count: (512 - bytes.count % 512) % 512)
  }

  /// A header block; `edit` may change any byte before the checksum is made.
  mutating func header(
    _ name: [UInt8],
    size: Int = 0,
    type: Character = "0",
    magic: Magic = .posix,
    prefix: [UInt8] = [],
    signedChecksum: Bool = false,
    edit: (inout [UInt8]) -> Void = { _ in }
  ) {
    var block = [UInt8](repeating: 0, count: 512)
    block.put(Array(name.prefix(100)), at: 0)
    block.put(Self.octal(0o644, 8), at: 100)
    block.put(Self.octal(size, 12), at: 124)
    block.put(Self.octal(1_700_000_000, 12), at: 136)
    block[156] = type.asciiValue ?? 0
    block.put(magic.bytes, at: 257)
    block.put(prefix, at: 345)
    edit(&block)
    block.put(Array(repeating: 0x20, count: 8), at: 148)
    let sum = block.reduce(0) { $0 + (signedChecksum ? Int(Int8(bitPattern: $1)) : Int($1)) }
    block.put(Self.octal(sum, 7) + [0x20], at: 148)
    bytes += block
  }

  mutating func member(
    _ name: String,
    _ data: [UInt8] = [],
    type: Character = "0",
    magic: Magic = .posix,
    edit: (inout [UInt8]) -> Void = { _ in }
  ) {
    header(Array(name.utf8), size: data.count, type: type, magic: magic, edit: edit)
    bytes += data
    pad()
  }

  mutating func extensionHeader(_ type: Character, _ body: [UInt8], magic: Magic = .posix) {
    header(Array("ext".utf8), size: body.count, type: type, magic: magic)
    bytes += body
    pad()
  }

  mutating func pax(_ records: [(String, [UInt8])], type: Character = "x") {
    extensionHeader(type, records.flatMap { Self.record($0.0, $0.1) })
  }

  mutating func pax(_ records: [(String, String)], type: Character = "x") {
    pax(records.map { ($0.0, Array($0.1.utf8)) }, type: type)
  }

  mutating func longName(_ name: String, type: Character = "L") {
    extensionHeader(type, Array(name.utf8) + [0], magic: .gnu)
  }

  mutating func end(blocks: Int = 2) {
    bytes += Array(repeating: 0, count: 512 * blocks)
  }

  /// `count` samples of the fields `jpg` and `cls`.
  mutating func samples(_ count: Int, from first: Int = 0, magic: Magic = .posix) {
    for number in first..<first + count {
      let key = String(100_000 + number)
      member("\(key).jpg", Self.data(700 + 13 * number), magic: magic)
      member("\(key).cls", Self.data(number % 3), magic: magic)
    }
  }

  // MARK: Bytes

  static func octal(_ number: Int, _ width: Int) -> [UInt8] {
    let digits = String(number, radix: 8)
    return Array((String(repeating: "0", count: width - 1 - digits.utf8.count) + digits).utf8) + [0]
  }

  static func base256(_ number: Int64, first: UInt8 = 0x80) -> [UInt8] {
    let fill: UInt8 = number < 0 ? 0xFF : 0
    let low = (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> Int64($0 * 8)) }
    return [first, fill, fill, fill] + low
  }

  static func record(_ keyword: String, _ value: [UInt8]) -> [UInt8] {
    let body = Array(" \(keyword)=".utf8) + value + [0x0A]
    var length = body.count
    while String(length).utf8.count + body.count != length {
      length = String(length).utf8.count + body.count
    }
    return Array(String(length).utf8) + body
  }

  /// Bytes that are not zero, and not the same everywhere.
  static func data(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) | 1 }
  }
}

extension [UInt8] {
  mutating func put(_ bytes: [UInt8], at offset: Int) {
    replaceSubrange(offset..<offset + bytes.count, with: bytes)
  }
}
