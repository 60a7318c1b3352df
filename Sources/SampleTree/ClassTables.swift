import Logging
import Remote
import ShardCache
import Synchronization
import TarIndex

/// The tables of classes of a mount's splits, each made when somebody first looks into its folder.
///
/// For a table all indexes of its split are wanted: those that are missing are made side by side, and
/// whoever asks waits as for bytes. One that cannot be had fails the question, and the next asks anew.
final class ClassTables: Sendable {
  private enum State {
    case gathering(ClassGathering)
    case ready(ClassTable)
  }

  private let states = Mutex<[Int: State]>([:])

  /// The table of a split, if it was made.
  subscript(split: Int) -> ClassTable? {
    states.withLock { states in
      if case .ready(let table) = states[split] { table } else { nil }
    }
  }

  /// Tells the waiter when a split's table is made, or why it cannot be.
  func wait(forSplit split: Int, of tree: MountTree, _ waiter: any CacheWaiter) {
    let (gathering, isNew) = states.withLock { states -> (ClassGathering?, Bool) in
      switch states[split] {
      case .ready: return (nil, false)
      case .gathering(let gathering):
        gathering.add(waiter)
        return (gathering, false)
      case nil:
        let gathering = ClassGathering(split: split, tree, waiter)
        states[split] = .gathering(gathering)
        return (gathering, true)
      }
    }
    guard let gathering else { return waiter.cacheAnswered(nil) }
    // Looking through the shards takes its time, and so does the table.
    if isNew { WorkerThread.start(name: "classes") { gathering.goOn() } }
  }

  /// Takes in what came of a gathering.
  ///
  /// - Returns: Who waits for it.
  func end(_ gathering: ClassGathering, with table: ClassTable?) -> [any CacheWaiter] {
    states.withLock { states in
      states[gathering.split] = table.map { .ready($0) }
      return gathering.takeWaiters()
    }
  }
}

/// Has the missing indexes of a split made, a few at a time, and then makes its table of classes.
final class ClassGathering: Sendable {
  private struct State {
    var waiters: [any CacheWaiter]

    /// The next shard to look at, by place.
    var next = 0
    var openCount = 0
    var isOver = false

    /// Somebody is asking for indexes, and is to look once more when done.
    var isAsking = false
    var isAskedAgain = false

    /// Indexes that were missing and have come.
    var madeCount = 0
    var toldTenths = 0
  }

  /// Indexes made at once: enough to hide a request's way, few enough that readers keep their share
  /// of the connections.
  private static let maxOpenCount = 8

  let split: Int
  private let tree: MountTree
  private let state: Mutex<State>

  init(split: Int, _ tree: MountTree, _ waiter: any CacheWaiter) {
    self.split = split
    self.tree = tree
    state = Mutex(State(waiters: [waiter]))
  }

  func add(_ waiter: any CacheWaiter) {
    state.withLock { $0.waiters.append(waiter) }
  }

  func takeWaiters() -> [any CacheWaiter] {
    state.withLock { state in
      defer { state.waiters = [] }
      return state.waiters
    }
  }

  private var shards: [Int] { tree.dataset.splits[split].shards }

  private enum Step {
    case nothing
    case ask(shard: Int)
    case make
  }

  /// Asks for the next missing indexes; makes the table where none is missing any more.
  ///
  /// An answer that comes at once does not nest: who asked goes on with it.
  func goOn() {
    let isFirst = state.withLock { state in
      defer { (state.isAskedAgain, state.isAsking) = (state.isAsking, true) }
      return !state.isAsking
    }
    guard isFirst else { return }
    repeat { askForMissing() } while !isDoneAsking()
  }

  private func isDoneAsking() -> Bool {
    state.withLock { state in
      guard state.isAskedAgain else {
        state.isAsking = false
        return true
      }
      state.isAskedAgain = false
      return false
    }
  }

  private func askForMissing() {
    while true {
      switch nextStep() {
      case .nothing: return
      case .ask(let shard):
        tree.cache.wait(forSample: Int.max, ofShard: shard, Waiter(self, shard))
      case .make:
        // Where the last index came, others wait for theirs.
        WorkerThread.start(name: "classes") { [self] in make() }
        return
      }
    }
  }

  private func nextStep() -> Step {
    state.withLock { state in
      guard !state.isOver else { return .nothing }
      while state.openCount < Self.maxOpenCount, state.next < shards.count {
        let shard = shards[state.next]
        state.next += 1
        guard !isKnown(shard) else { continue }
        state.openCount += 1
        return .ask(shard: shard)
      }
      guard state.next == shards.count, state.openCount == 0 else { return .nothing }
      state.isOver = true
      return .make
    }
  }

  private func isKnown(_ shard: Int) -> Bool {
    tree.cache.index(ofShard: shard)?.isComplete == true
      || tree.skippedShards.withLock { $0.contains(shard) }
  }

  fileprivate func answered(_ failure: CacheError?, ofShard shard: Int) {
    var failure = failure
    if let found = failure, tree.settings.skipsUnreadable {
      if case .closed = found {
      } else {
        tree.skip(shard, for: found)
        failure = nil
      }
    }
    let (isEnded, progress) = state.withLock { state -> (Bool, Int?) in
      state.openCount -= 1
      state.madeCount += 1
      guard !state.isOver else { return (false, nil) }
      guard failure == nil else {
        state.isOver = true
        return (true, nil)
      }
      let tenths = state.next * 10 / shards.count
      guard tenths > state.toldTenths else { return (false, nil) }
      state.toldTenths = tenths
      return (false, state.next)
    }
    if isEnded {
      for waiter in tree.classTables.end(self, with: nil) { waiter.cacheAnswered(failure) }
      return
    }
    if let progress {
      tree.logger.info(
        "indexes are made for the classes of a split",
        metadata: [
          "event": "classes.gathering", "split": "\(splitName)", "shards": "\(progress)",
          "of": "\(shards.count)",
        ]
      )
    }
    goOn()
  }

  private func make() {
    let indexes = shards.map { shard in
      tree.skippedShards.withLock { $0.contains(shard) } ? nil : tree.cache.index(ofShard: shard)
    }
    let table = ClassTable(indexes)
    tree.logger.info(
      "the samples of a split are sorted by class",
      metadata: [
        "event": "classes.ready", "split": "\(splitName)", "classes": "\(table.classCount)",
        "samples": "\(table.sampleCount)", "unclassed": "\(table.unclassedCount)",
        "indexed": "\(state.withLock { $0.madeCount })",
      ]
    )
    for waiter in tree.classTables.end(self, with: table) { waiter.cacheAnswered(nil) }
  }

  private var splitName: String { PrintableName.text(tree.dataset.splits[split].name) }

  private final class Waiter: CacheWaiter {
    private let gathering: ClassGathering
    private let shard: Int

    init(_ gathering: ClassGathering, _ shard: Int) {
      self.gathering = gathering
      self.shard = shard
    }

    func cacheAnswered(_ failure: CacheError?) {
      gathering.answered(failure, ofShard: shard)
    }
  }
}
