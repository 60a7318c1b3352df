import Synchronization

/// Says in a ledger how many samples an epoch gives, once for each of which one was served.
///
/// It is said when all shards of the split are counted, which may be long after the first sample.
package final class LedgerTotals: Sendable {
  package struct Split: Sendable {
    package let name: [UInt8]
    package let shardCount: Int

    /// The samples of the shard at a place of the split; nil while they are not counted.
    package let count: @Sendable (_ place: Int) -> Int?

    package init(
      name: [UInt8],
      shardCount: Int,
      count: @escaping @Sendable (_ place: Int) -> Int?
    ) {
      self.name = name
      self.shardCount = shardCount
      self.count = count
    }
  }

  private struct Epoch: Hashable {
    let split: Int
    let number: Int
  }

  /// What is added up of a split, from its first shard on.
  private struct Sum {
    var shardCount = 0
    var samples = 0
  }

  private struct State {
    var isSaid: [Epoch: Bool] = [:]
    var sums: [Int: Sum] = [:]
  }

  private let splits: [Split]
  private let state = Mutex(State())

  package init(_ splits: [Split]) {
    self.splits = splits
  }

  /// Notes that a sample was served; cheap, for every sample comes here.
  package func noteServed(ofSplit split: Int, epoch: Int) {
    let epoch = Epoch(split: split, number: epoch)
    state.withLock { state in
      if state.isSaid[epoch] == nil { state.isSaid[epoch] = false }
    }
  }

  /// The lines that can be written now and have not been given out before.
  package func lines() -> [LedgerLine] {
    let waiting = state.withLock { state in state.isSaid.filter { !$0.value }.keys }
    return waiting.sorted { ($0.split, $0.number) < ($1.split, $1.number) }.compactMap { epoch in
      guard let total = total(ofSplit: epoch.split) else { return nil }
      state.withLock { $0.isSaid[epoch] = true }
      return LedgerLine(total: total, ofEpoch: epoch.number, split: splits[epoch.split].name)
    }
  }

  /// All samples of a split; goes on where the last call found a shard that was not counted.
  private func total(ofSplit number: Int) -> Int? {
    let split = splits[number]
    var sum = state.withLock { $0.sums[number] ?? Sum() }
    while sum.shardCount < split.shardCount, let count = split.count(sum.shardCount) {
      sum.samples &+= count
      sum.shardCount += 1
    }
    state.withLock { $0.sums[number] = sum }
    return sum.shardCount == split.shardCount ? sum.samples : nil
  }
}
