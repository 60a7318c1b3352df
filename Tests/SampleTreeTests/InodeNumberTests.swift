import SampleTree
import TestSupport
import Testing

@Suite struct InodeNumberTests {
  @Test("every node is read back from its number, and no two share one")
  func roundTrip() {
    var generator = SeededGenerator(seed: 7)
    var nodes: Set<Node> = [.root, .controls, .shards, .epochs, .streams, .classes]
    for _ in 0..<20_000 { nodes.insert(Self.random(&generator)) }
    let lowest: [Node] = [
      .split(0), .streamSplit(0), .stream(pass: 1), .pass(1), .sample(pass: 1, position: 0),
      .field(pass: 1, position: 0, field: 0), .snapshot(1), .shardSplit(0),
      .shardFile(split: 0, place: 0), .classSplit(0), .classFolder(split: 0, number: 0),
    ]
    let highest: [Node] = [
      .split(Node.maxSplits - 1), .streamSplit(Node.maxSplits - 1),
      .stream(pass: Node.maxPasses - 1),
      .pass(Node.maxPasses - 1), .snapshot(1 << 39), .shardSplit(Node.maxSplits - 1),
      .sample(pass: Node.maxPasses - 1, position: Node.maxPositions - 1),
      .field(pass: Node.maxPasses - 1, position: Node.maxPositions - 1, field: Node.maxFields - 1),
      .shardFile(split: Node.maxSplits - 1, place: Node.maxShards - 1),
      .classSplit(Node.maxSplits - 1),
      .classFolder(split: Node.maxSplits - 1, number: Node.maxClasses - 1),
    ]
    nodes.formUnion(lowest + highest)
    #expect(Set(nodes.map(\.inode)).count == nodes.count)
    for node in nodes {
      #expect(Node(inode: node.inode) == node)
    }
    #expect(Node.root.inode == 1)
  }

  @Test("a number is some node's own or nobody's")
  func strangers() {
    var generator = SeededGenerator(seed: 8)
    for _ in 0..<20_000 {
      let number =
        UInt64.random(in: .min ... .max, using: &generator)
        >> UInt64.random(in: 0...60, using: &generator)
      guard let node = Node(inode: number) else { continue }
      #expect(node.inode == number)
    }
    #expect(Node(inode: 0) == nil)
    #expect(Node(inode: 7) == nil)
  }

  private static func random(_ generator: inout SeededGenerator) -> Node {
    func below(_ limit: Int) -> Int {
      // Small numbers as often as large ones: that is where kinds would run into each other.
      let bits = Int.random(in: 0...32, using: &generator)
      return Int.random(in: 0..<min(limit, max(1, 1 << bits)), using: &generator)
    }
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: return .split(below(Node.maxSplits))
    case 1:
      return Bool.random(using: &generator)
        ? .streamSplit(below(Node.maxSplits)) : .stream(pass: below(Node.maxPasses))
    case 2: return .pass(below(Node.maxPasses))
    case 3: return .sample(pass: 1 + below(Node.maxPasses - 1), position: below(Node.maxPositions))
    case 4:
      return .field(
        pass: 1 + below(Node.maxPasses - 1),
        position: below(Node.maxPositions),
        field: below(Node.maxFields)
      )
    case 5: return .snapshot(below(1 << 32))
    case 6: return .shardSplit(below(Node.maxSplits))
    default: return .shardFile(split: below(Node.maxSplits), place: below(Node.maxShards))
    }
  }
}
