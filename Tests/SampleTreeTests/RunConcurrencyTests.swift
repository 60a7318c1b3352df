import Remote
import SampleOrder
import SampleTree
import Synchronization
import TestSupport
import Testing

@Suite struct RunConcurrencyTests {
  /// What threads have done of their work.
  private final class Crew: Sendable {
    private let finished = ReadySignal()

    func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
      for number in 0..<count {
        WorkerThread.start(name: "crew") { [self] in
          body(number)
          finished.signal()
        }
      }
      for _ in 0..<count { finished.wait() }
    }
  }

  private final class Shared: @unchecked Sendable {
    let test: TestTree
    init(_ test: TestTree) { self.test = test }
  }

  private static let shards: [String: TestShard] = [
    "train/0.tar": .samples(13, shard: 0), "train/1.tar": .samples(2, shard: 1),
    "train/2.tar": .samples(20, shard: 2),
  ]

  @Test(.timeLimit(.minutes(10)))
  func readersTogetherCountEachSampleOnce() throws {
    let shared = Shared(try TestTree(Self.shards))
    Crew().run(6) { number in
      for step in 0..<35 {
        try? shared.test.readSamples([(step * (number * 2 + 1) + number) % 35], of: "train/0")
      }
      try? shared.test.readSamples(0..<35, of: "train/0")
    }
    #expect(shared.test.ledger.positions.sorted() == Array(0..<35))
    #expect(try shared.test.progress().consumed == Consumed(below: 35))
  }

  @Test(.timeLimit(.minutes(10)))
  func readingListingAndCommittingAtOnceNeverTraps() throws {
    let order = TestTree.Order(shuffle: .full, seed: 4)
    let shared = Shared(try TestTree(Self.shards, .init(worldSize: 2, order: order)))
    let document = shared.test.tree.run.cursor().encoded()
    Crew().run(6) { number in
      let test = shared.test
      let path = "train/\(number % 2)"
      for step in 0..<25 {
        switch number {
        case 0, 1: try? test.readSamples(0..<12, of: path)
        case 2, 3: _ = try? test.names(path)
        case 4: try? test.write("\(step % 3):\(step % 11)\n", to: path + "/.cursor")
        default:
          try? test.write([document], to: path + "/.cursor")
          _ = test.tree.run.cursor()
          _ = try? test.stream(".streams/\(path).tar", pieceBytes: 3000)
        }
      }
    }
    let cursor = shared.test.tree.run.cursor()
    #expect(try Cursor(decoding: cursor.encoded()) == cursor)
    for rank in 0..<2 {
      try shared.test.write("1:3\n", to: "train/\(rank)/.cursor")
      #expect(try shared.test.progress("train", rank).epoch == 1)
      #expect(try shared.test.progress("train", rank).consumed == Consumed(below: 3))
    }
  }
}
