import SampleOrder
import SampleTree
import ShardCache
import Synchronization
import Testing

/// What a trainer does: reads samples, looks at the cursor, writes to it.
extension TestTree {
  /// The cursor's progress of a rank of a split.
  func progress(_ split: String = "train", _ rank: Int = 0) throws -> Progress {
    try #require(tree.run.cursor().splits[split]).present.ranks[rank]
  }

  /// Reads a field of each position of a rank.
  func readSamples(_ positions: some Sequence<Int>, of path: String) throws(TreeError) {
    for position in positions { _ = try text("\(path)/\(Self.name(position))/jpg") }
  }

  static func name(_ position: Int) -> String {
    let digits = String(position)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }

  /// Writes as a shell does: sets the size to nothing, then writes.
  func write(_ text: String, to path: String) throws(TreeError) {
    try write([Array(text.utf8)], to: path)
  }

  /// Writes in pieces, one after the other.
  func write(_ pieces: [[UInt8]], to path: String) throws(TreeError) {
    let inode = try find(path).inode
    let emptied = try tree.truncate(inode, to: 0)
    #expect(emptied.sizeBytes == 0)
    var offset: Int64 = 0
    for piece in pieces {
      if let failure = writeOnce(piece, at: offset, to: inode) { throw failure }
      offset += Int64(piece.count)
    }
  }

  func writeOnce(_ piece: [UInt8], at offset: Int64, to inode: UInt64) -> TreeError? {
    let waiter = WaitingWriter()
    tree.write(piece, at: offset, to: inode) { waiter.finish($0) }
    return waiter.wait()
  }

  /// A stream, read in pieces of a size.
  func stream(_ path: String, pieceBytes: Int) throws(TreeError) -> [UInt8] {
    let inode = try find(path).inode
    var bytes: [UInt8] = []
    while true {
      let piece = try read(inode, at: Int64(bytes.count), count: pieceBytes)
      bytes += piece
      if piece.isEmpty { return bytes }
    }
  }
}

/// Lets a test wait for a write.
private final class WaitingWriter: Sendable {
  private let failure = Mutex<TreeError?>(nil)
  private let waiter = WaitingTest()

  func finish(_ failure: TreeError?) {
    self.failure.withLock { $0 = failure }
    waiter.cacheAnswered(nil)
  }

  func wait() -> TreeError? {
    _ = waiter.wait()
    return failure.withLock { $0 }
  }
}

/// Notes what the kernel is told to let go of.
final class KernelSpy: KernelCache {
  struct Entry: Hashable {
    var name: String
    var parent: UInt64
  }

  private let told = Mutex<(attributes: [UInt64], entries: [Entry])>(([], []))

  var attributes: [UInt64] { told.withLock { $0.attributes } }
  var entries: [Entry] { told.withLock { $0.entries } }

  func clear() { told.withLock { $0 = ([], []) } }

  func forgetAttributes(of inode: UInt64) {
    told.withLock { $0.attributes.append(inode) }
  }

  func forgetEntry(named name: [UInt8], in parent: UInt64) {
    let entry = Entry(name: String(decoding: name, as: UTF8.self), parent: parent)
    told.withLock { $0.entries.append(entry) }
  }
}

/// Keeps what the ledger would be told.
final class CollectedLedger: Sendable {
  private let lines = Mutex<[ServedSample]>([])

  func record(_ sample: ServedSample) { lines.withLock { $0.append(sample) } }

  var samples: [ServedSample] { lines.withLock { $0 } }

  var positions: [Int] { samples.map(\.position) }
}
