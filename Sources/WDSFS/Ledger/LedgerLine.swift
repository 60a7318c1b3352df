/// One line of a ledger: a sample that was served, or how many an epoch has.
///
/// Tab-separated columns, the same in both: time, split, rank, epoch, position, shard, number, key,
/// state. In a line of state `total` the position is the number of samples of the split's epoch, and
/// rank, shard, number and key are `-`. Split, shard and key are bytes: tabs, line ends, other control
/// bytes, the backslash and what is not UTF-8 stand as `\xHH`.
package struct LedgerLine: Hashable, Sendable {
  package enum State: String, CaseIterable, Sendable {
    /// The sample was served.
    case ok

    /// It cannot be read, and was passed over for good.
    case error

    /// It was served again to bring ranks to one length (`--equalize repeat`).
    case filled

    /// The epoch's length.
    case total
  }

  /// A column that changes its meaning raises it.
  package static let version = 1

  package static let versionLine = "# wdsfs ledger version \(version)"
  package static let columns = [
    "time", "split", "rank", "epoch", "position", "shard", "number", "key", "state",
  ]
  package static let headerLine = columns.joined(separator: "\t")

  /// Longer lines are none of ours: names have at most a few thousand bytes, escaped four times that.
  package static let maxBytes = 256 * 1024

  package let split: [UInt8]
  package let rank: Int
  package let epoch: Int

  /// In the rank's order, or how many samples the epoch has.
  package let position: Int

  package let shard: [UInt8]

  /// The sample's place in the shard.
  package let number: Int

  package let key: [UInt8]
  package let state: State

  package init(
    split: [UInt8],
    rank: Int,
    epoch: Int,
    position: Int,
    shard: [UInt8],
    number: Int,
    key: [UInt8],
    state: State = .ok
  ) {
    self.split = split
    self.rank = rank
    self.epoch = epoch
    self.position = position
    self.shard = shard
    self.number = number
    self.key = key
    self.state = state
  }

  /// Says how many samples an epoch of a split gives, over all ranks and each counted once.
  package init(total: Int, ofEpoch epoch: Int, split: [UInt8]) {
    self.init(
      split: split,
      rank: 0,
      epoch: epoch,
      position: total,
      shard: [],
      number: 0,
      key: [],
      state: .total
    )
  }

  // MARK: Text

  /// Appends the line with its end.
  package func append(to bytes: inout [UInt8], time: String) {
    bytes += time.utf8
    bytes.append(Self.tab)
    Self.escape(split, into: &bytes)
    let isTotal = state == .total
    bytes +=
      isTotal ? "\t-\t\(epoch)\t\(position)\t".utf8 : "\t\(rank)\t\(epoch)\t\(position)\t".utf8
    if isTotal {
      bytes += "-\t-\t-".utf8
    } else {
      Self.escape(shard, into: &bytes)
      bytes += "\t\(number)\t".utf8
      Self.escape(key, into: &bytes)
    }
    bytes.append(Self.tab)
    bytes += state.rawValue.utf8
    bytes.append(UInt8(ascii: "\n"))
  }

  /// Reads a line without its end; nil for what is none, for example a torn one.
  package init?(_ line: ArraySlice<UInt8>) {
    let words = line.split(separator: Self.tab, omittingEmptySubsequences: false)
    guard words.count == Self.columns.count,
      let state = State(rawValue: String(decoding: words[8], as: UTF8.self)),
      let epoch = Self.number(words[3]), let position = Self.number(words[4]),
      let split = Self.unescaped(words[1])
    else { return nil }
    guard state != .total else {
      self.init(total: position, ofEpoch: epoch, split: split)
      return
    }
    guard let rank = Self.number(words[2]), let number = Self.number(words[6]),
      let shard = Self.unescaped(words[5]), let key = Self.unescaped(words[7])
    else { return nil }
    self.init(
      split: split,
      rank: rank,
      epoch: epoch,
      position: position,
      shard: shard,
      number: number,
      key: key,
      state: state
    )
  }

  private static let tab = UInt8(ascii: "\t")
  private static let backslash = UInt8(ascii: "\\")

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    // Leaves room to add one to it.
    guard !digits.isEmpty, digits.count <= 18 else { return nil }
    var value = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int(digit - UInt8(ascii: "0"))
    }
    return value
  }

  private static func escape(_ name: [UInt8], into bytes: inout [UInt8]) {
    let isPlain = name.allSatisfy { (0x20..<0x7F).contains($0) && $0 != backslash }
    if isPlain {
      bytes += name
      return
    }
    let isText = String(validating: name, as: UTF8.self) != nil
    for byte in name {
      if byte < 0x20 || byte == 0x7F || byte == backslash || (byte >= 0x80 && !isText) {
        bytes += [backslash, UInt8(ascii: "x"), hexDigit(byte >> 4), hexDigit(byte & 15)]
      } else {
        bytes.append(byte)
      }
    }
  }

  private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.contains(backslash) else { return Array(text) }
    var bytes: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      guard byte == backslash else {
        bytes.append(byte)
        continue
      }
      guard rest.popFirst() == UInt8(ascii: "x"), let high = rest.popFirst().flatMap(value),
        let low = rest.popFirst().flatMap(value)
      else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  private static func value(ofDigit digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
