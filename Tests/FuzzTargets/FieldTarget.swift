import Schema

/// Fields as the formats of `--schema` read them: images, numbers, JSON, MessagePack, compressed.
enum FieldTarget {
  private static let maxBytes = 1 << 20
  private static let rules = [
    "x=npy", "x=npy:8x6", "x=npy:short=5", "x=raw", "x=json", "x=txt",
  ]

  static func run(_ input: [UInt8]) {
    for text in rules {
      guard let rule = try? SchemaRule(parsing: text),
        let decoder = try? FieldDecoder(rule.format, maxBytes: maxBytes)
      else { return hold(false, "'\(text)' is refused") }
      let output = input.withUnsafeBytes { try? decoder.decode($0) }
      guard let output else { continue }
      hold(output.count <= maxBytes, "more than allowed")
      if let bytes = rule.format.fixedSizeBytes {
        hold(Int64(output.count) == bytes, "another size than said")
      }
    }
    _ = try? SchemaRule(parsing: String(decoding: input, as: UTF8.self))
  }
}
