/// A rank's progress as it stands in the cursor file.
///
/// `2:12800 12805..<12811 12900+f3`: epoch 2, everything below 12800, a range, and from 12900 on a
/// bitmap, eight positions to two hexadecimal digits, the lowest bit first.
enum ProgressText {
  static func encode(_ progress: Progress) -> String {
    var text = "\(progress.epoch):"
    text += progress.consumed.next == Int.max ? "all" : "\(progress.consumed.next)"
    var rest = progress.consumed.beyond[...]
    while let range = rest.first {
      let dense = denseRun(rest)
      text += " "
      if dense.count > 1 {
        text += "\(range.lowerBound)+"
        text += hexadecimal(dense, from: range.lowerBound)
      } else {
        text += "\(range.lowerBound)..<\(range.upperBound)"
      }
      rest = rest.dropFirst(dense.count)
    }
    return text
  }

  /// The first ranges, as many as are shorter as a bitmap than written out.
  private static func denseRun(_ ranges: ArraySlice<Range<Int>>) -> ArraySlice<Range<Int>> {
    guard let first = ranges.first, first.count < maxInBitmap else { return ranges.prefix(1) }
    var count = 1
    for (range, next) in zip(ranges, ranges.dropFirst()) {
      // Written out, a range takes two numbers and four signs; in a bitmap a quarter sign a position.
      let digits = String(next.upperBound).utf8.count
      guard next.upperBound - range.upperBound < 4 * (2 * digits + 4) else { break }
      count += 1
    }
    return ranges.prefix(count)
  }

  private static let maxInBitmap = 64

  private static func hexadecimal(_ ranges: ArraySlice<Range<Int>>, from start: Int) -> String {
    let end = ranges.last?.upperBound ?? start
    var bytes = [UInt8](repeating: 0, count: (end - start + 7) / 8)
    for range in ranges {
      for position in range {
        bytes[(position - start) / 8] |= 1 << UInt8((position - start) % 8)
      }
    }
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Reads what `encode` wrote; nil for anything else.
  static func decode(_ text: String) -> Progress? {
    let words = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard let head = words.first, let colon = head.firstIndex(of: UInt8(ascii: ":")),
      let epoch = number(head[..<colon], max: EpochOrder.allowedEpochs.upperBound)
    else { return nil }
    if head[head.index(after: colon)...].elementsEqual("all".utf8) {
      return words.count == 1 ? Progress(epoch: epoch, consumed: .all) : nil
    }
    guard let next = number(head[head.index(after: colon)...]) else { return nil }
    var ranges = next > 0 ? [0..<next] : []
    for word in words.dropFirst() {
      let end = ranges.last?.upperBound ?? 0
      guard let more = self.ranges(word), let first = more.first, first.lowerBound > end else {
        return nil
      }
      ranges += more
    }
    return Progress(epoch: epoch, consumed: Consumed(merging: ranges))
  }

  /// Reads one range or one bitmap.
  private static func ranges(_ word: Substring.UTF8View.SubSequence) -> [Range<Int>]? {
    if let plus = word.firstIndex(of: UInt8(ascii: "+")) {
      guard let start = number(word[..<plus]) else { return nil }
      return bitmap(word[word.index(after: plus)...], from: start)
    }
    guard let dot = word.firstIndex(of: UInt8(ascii: ".")) else { return nil }
    let rest = word[dot...]
    guard rest.starts(with: "..<".utf8), let lower = number(word[..<dot]),
      let upper = number(rest.dropFirst(3)), lower < upper
    else { return nil }
    return [lower..<upper]
  }

  private static func bitmap(
    _ digits: Substring.UTF8View.SubSequence,
    from start: Int
  ) -> [Range<Int>]? {
    var ranges: [Range<Int>] = []
    var runStart: Int?
    var position = start
    var high: UInt8?
    for digit in digits {
      guard let value = value(ofDigit: digit) else { return nil }
      guard let upper = high else {
        high = value
        continue
      }
      let byte = upper << 4 | value
      for bit in 0..<8 as Range<UInt8> {
        let isSet = byte >> bit & 1 == 1
        if isSet, runStart == nil { runStart = position }
        if !isSet, let lower = runStart {
          ranges.append(lower..<position)
          runStart = nil
        }
        position += 1
      }
      high = nil
    }
    if let lower = runStart { ranges.append(lower..<position) }
    return high == nil && ranges.first?.lowerBound == start ? ranges : nil
  }

  private static func value(ofDigit digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  private static func number(
    _ digits: Substring.UTF8View.SubSequence,
    max: Int = DatasetShape.maxSamples
  ) -> Int? {
    var value = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int(digit - UInt8(ascii: "0"))
      guard value <= max else { return nil }
    }
    return digits.isEmpty ? nil : value
  }
}
