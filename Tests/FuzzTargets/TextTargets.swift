import Remote
import S3Client
import SampleOrder

/// Texts that servers and users give.
enum TextTargets {
  static func list(_ input: [UInt8]) {
    var parser = XMLPullParser(input)
    var eventCount = 0
    while let event = (try? parser.next()) ?? nil, eventCount <= input.count {
      _ = event
      eventCount += 1
    }
    hold(eventCount <= input.count, "more events than bytes")
    guard let page = try? ListPage(input) else { return }
    for object in page.objects {
      hold(object.sizeBytes >= 0, "a negative size")
      hold((1...1024).contains(object.key.bytes.count), "a key of \(object.key.bytes.count) bytes")
      hold(object.key.description.utf8.count <= 203, "a key printed at length")
    }
  }

  static func head(_ input: [UInt8]) {
    for line in input.split(separator: UInt8(ascii: "\n")) {
      guard let range = ContentRange(String(decoding: line, as: UTF8.self)) else { continue }
      hold(range.range.lowerBound >= 0 && !range.range.isEmpty, "an odd range")
      if let total = range.total { hold(range.range.upperBound <= total, "a range beyond its end") }
    }
    guard let head = ReplyHead(input) else { return }
    hold((100...999).contains(head.status), "an odd status")
    for name in ["content-range", "etag", "content-length", "retry-after"] { _ = head[name] }
  }

  static func profiles(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    for kind in [ProfileFile.Kind.config, .credentials] {
      _ = try? ProfileFile(text: text, path: "/config", kind: kind)
    }
  }

  static func cursor(_ input: [UInt8]) {
    _ = CommitRequest(input)
    _ = try? Cursor(decoding: input)
    // Most changes end at the checksum: so the right one is put behind them.
    let text = input + Array("\"checksum\": \"\(checksum(input))\"\n}\n".utf8)
    guard let cursor = try? Cursor(decoding: text) else { return }
    let again = try? Cursor(decoding: cursor.encoded())
    hold(again == cursor, "it does not read back as it was written")
  }

  /// FNV-1a of 64 bits, as the cursor's format has it.
  private static func checksum(_ bytes: [UInt8]) -> String {
    let hash = bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { hash, byte in
      (hash ^ UInt64(byte)) &* 0x100_0000_01B3
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  static func pattern(_ input: [UInt8]) {
    if let pattern = try? BracePattern(input, maxNames: 1000) {
      hold(pattern.names.count == pattern.nameCount, "another number of names than said")
    }
    let text = String(decoding: input, as: UTF8.self)
    if let glob = try? KeyGlob(text) { _ = glob.matches("train/shard-000001.tar".utf8) }
    _ = try? RemoteAddress(parsing: text)
  }
}
