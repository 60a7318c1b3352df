/// What a trainer writes to a rank's `.cursor`: everything below a position is trained on.
package struct CommitRequest: Hashable, Sendable {
  /// nil for the rank's present epoch.
  package let epoch: Int?

  package let position: Int

  package init(epoch: Int? = nil, position: Int) {
    self.epoch = epoch
    self.position = position
  }

  /// Reads `12800` or `3:12800`, a newline after it allowed; nil for anything else.
  package init?(_ bytes: some Collection<UInt8>) {
    var numbers: [Int] = [0]
    var hasDigit = false
    guard bytes.count <= Self.maxBytes else { return nil }
    for (place, byte) in bytes.enumerated() {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        let digit = Int(byte - UInt8(ascii: "0"))
        let value = numbers[numbers.count - 1] * 10 + digit
        guard value <= DatasetShape.maxSamples else { return nil }
        numbers[numbers.count - 1] = value
        hasDigit = true
      case UInt8(ascii: ":") where hasDigit && numbers.count == 1:
        numbers.append(0)
        hasDigit = false
      case UInt8(ascii: "\n") where hasDigit && place == bytes.count - 1:
        continue
      default:
        return nil
      }
    }
    guard hasDigit else { return nil }
    epoch = numbers.count == 2 ? numbers[0] : nil
    position = numbers[numbers.count - 1]
    if let epoch, !EpochOrder.allowedEpochs.contains(epoch) { return nil }
  }

  /// Two numbers of 19 digits, a colon and a newline are 40.
  private static let maxBytes = 64
}

/// Why a commit was not taken.
package enum CommitError: Error, Hashable, Sendable {
  /// The epoch ends before the position.
  case beyondEnd(position: Int, length: Int?)

  /// Whether the epoch reaches so far is not known before more shards are counted.
  case notCounted(position: Int, shard: Int)
}

extension CommitError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .beyondEnd(let position, let length?):
      "position \(position) is beyond the epoch's \(length) samples"
    case .beyondEnd(let position, nil):
      "position \(position) is beyond the epoch's end"
    case .notCounted(let position, let shard):
      "position \(position) cannot be checked before shard \(shard) is counted"
    }
  }
}
