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

  mutating func append(_ transfer: Transfer) {
    numbers[ObjectIdentifier(transfer)] = firstNumber + items.count
    items.append(transfer)
  }

  mutating func popFirst() -> Transfer? {
    while front < items.count {
      let transfer = items[front]
      items[front] = nil
      front += 1
      dropGaps()
      if let transfer {
        numbers[ObjectIdentifier(transfer)] = nil
        return transfer
      }
    }
    return nil
  }

  mutating func remove(_ transfer: Transfer) {
    guard let number = numbers.removeValue(forKey: ObjectIdentifier(transfer)) else { return }
    items[number - firstNumber] = nil
  }

  /// Forgets what lies before the front, once it is more than what lies behind it.
  private mutating func dropGaps() {
    guard front > 64, front > items.count / 2 else { return }
    items.removeFirst(front)
    firstNumber += front
    front = 0
  }
}
