/// Plain tars for tests, as simple as they come.
enum TestShard {
  /// Samples `000000.bin`, `000000.cls`, … whose large field has the given size.
  static func samples(_ bodyBytes: [Int], seed: UInt64 = 1) -> [UInt8] {
    let longest = testBytes(bodyBytes.max() ?? 0, seed: seed)
    var bytes: [UInt8] = []
    for (number, count) in bodyBytes.enumerated() {
      let digits = String(number)
      let key = String(repeating: "0", count: 6 - digits.count) + digits
      bytes += member("\(key).bin", longest[..<count])
      bytes += member("\(key).cls", [UInt8(number % 256)])
    }
    return bytes + [UInt8](repeating: 0, count: 1024)
  }

  static func member(_ name: String, _ data: some Collection<UInt8>) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
    }
    func octal(_ number: Int, digits: Int) -> String {
      let text = String(number, radix: 8)
      return String(repeating: "0", count: digits - text.count) + text
    }
    put(name, at: 0)
    put(octal(0o644, digits: 7), at: 100)
    put(octal(data.count, digits: 11), at: 124)
    put(octal(1_700_000_000, digits: 11), at: 136)
    put("        ", at: 148)
    put("0", at: 156)
    put("ustar", at: 257)
    put("00", at: 263)
    let sum = header.reduce(0) { $0 + Int($1) }
    put(octal(sum, digits: 6) + "\0 ", at: 148)
    return header + data + [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
  }
}
