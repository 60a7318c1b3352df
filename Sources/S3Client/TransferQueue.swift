/// Transfers that wait: first in, first out.
///
/// Taking one out of the middle leaves a gap, which is passed over later.
struct TransferQueue {
  private var items: [Transfer?] = []

  /// The number of the first item, counted from the queue's making.
  private var firstNumber = 0
  private var front = 0
  private var numbers: [ObjectIdentifier: Int] = [:]

  var isEmpty: Bool { numbers.isEmpty }
  var all: [Transfer] { items[front...].compactMap(\.self) }

  /// The first that a condition holds for.
  func first(where condition: (Transfer) -> Bool) -> Transfer? {
    for transfer in items[front...] {
      if let transfer, condition(transfer) { return transfer }
    }
    return nil
  }

  mutating func append(_ transfer: Transfer) {
    numbers[ObjectIdentifier(transfer)] = firstNumber + items.count
    items.append(transfer)
  }

  mutating func remove(_ transfer: Transfer) {
    guard let number = numbers.removeValue(forKey: ObjectIdentifier(transfer)) else { return }
    items[number - firstNumber] = nil
    dropGaps()
  }

  /// Passes over the gaps in front, and forgets them once they are more than what lies behind them.
  private mutating func dropGaps() {
    while front < items.count, items[front] == nil { front += 1 }
    guard front > 64, front > items.count / 2 else { return }
    items.removeFirst(front)
    firstNumber += front
    front = 0
  }
}
