import SampleOrder
import Testing

@Suite struct RankBookmarkTests {
  private func order(epoch: Int = 0) throws -> RankOrder {
    let shape = try DatasetShape(sampleCounts: [5, 5])
    return try EpochOrder(OrderParameters(), epoch: epoch, shape: shape).rank(0)
  }

  @Test("commits are read as documented, and nothing else is")
  func parsing() {
    #expect(CommitRequest("12800".utf8) == CommitRequest(position: 12_800))
    #expect(CommitRequest("12800\n".utf8) == CommitRequest(position: 12_800))
    #expect(CommitRequest("3:12800\n".utf8) == CommitRequest(epoch: 3, position: 12_800))
    #expect(CommitRequest("0:0".utf8) == CommitRequest(epoch: 0, position: 0))
    let wrong = [
      "", "\n", ":", "3:", ":3", "-1", "+1", " 1", "1 ", "1\n\n", "1:2:3", "0x10", "1e3", "1.0",
      "\u{0}", "99999999999999999999", "99999999999999999999:1", "1\r\n",
      String(repeating: "0", count: 100),
    ]
    for text in wrong {
      #expect(CommitRequest(text.utf8) == nil, "\(text)")
    }
  }

  @Test("read mode: what was served counts, in whatever order; other epochs do not")
  func reads() throws {
    let order = try order()
    var bookmark = RankBookmark(in: order)
    let changes = [3, 0, 0, 1].map { bookmark.served($0, in: order) }
    #expect(changes == [true, true, false, true])
    let other = bookmark.served(2, in: try self.order(epoch: 1))
    #expect(!other)
    #expect(bookmark.progress.consumed.allRanges == [0..<2, 3..<4])
    #expect(!bookmark.isConsumed(in: order))
  }

  @Test("commit mode: from the first commit on reads no longer count, forward or back")
  func commits() throws {
    let order = try order()
    var bookmark = RankBookmark(in: order)
    bookmark.served(7, in: order)
    try bookmark.commit(4, in: order, at: 1)
    #expect(bookmark.progress == Progress(consumed: Consumed(below: 4), committedAt: 1))
    let counted = bookmark.served(4, in: order)
    #expect(!counted && bookmark.isCommitting)
    try bookmark.commit(2, in: order, at: 2)
    #expect(bookmark.progress.consumed == Consumed(below: 2))
    #expect(bookmark.generation == 0, "a commit within the epoch moves no name")
    #expect(throws: CommitError.beyondEnd(position: 11, length: 10)) {
      try bookmark.commit(11, in: order, at: 3)
    }
    #expect(bookmark.progress.consumed == Consumed(below: 2))
    try bookmark.commit(10, in: order, at: 4)
    #expect(bookmark.isConsumed(in: order))
    bookmark.turn(to: try self.order(epoch: 1))
    #expect(bookmark.progress.epoch == 1 && bookmark.progress.consumed.isEmpty)
    try bookmark.commit(3, in: try self.order(epoch: 5), at: 5)
    #expect(bookmark.progress.epoch == 5 && bookmark.generation == 1)
  }

  @Test("a commit beyond what is counted says which shard is wanted")
  func notCounted() throws {
    let shape = try DatasetShape(shardCount: 2)
    var order = try EpochOrder(OrderParameters(), epoch: 0, shape: shape).rank(0)
    order.learn(sampleCount: 5, isExact: true, ofShard: 0)
    order.learn(sampleCount: 2, isExact: false, ofShard: 1)
    var bookmark = RankBookmark(in: order)
    try bookmark.commit(7, in: order, at: 1)
    #expect(throws: CommitError.notCounted(position: 8, shard: 1)) {
      try bookmark.commit(8, in: order, at: 2)
    }
    order.learn(sampleCount: 2, isExact: true, ofShard: 1)
    #expect(throws: CommitError.beyondEnd(position: 8, length: 7)) {
      try bookmark.commit(8, in: order, at: 2)
    }
  }

  @Test("a checkpoint moves a rank back, under a new generation and without commit mode")
  func moves() throws {
    let order = try order()
    var bookmark = RankBookmark(in: order)
    bookmark.served(0, in: order)
    bookmark.move(to: Progress(consumed: Consumed(below: 8)), in: order)
    bookmark.move(to: Progress(), in: order)
    #expect(bookmark.generation == 2 && !bookmark.isCommitting)
    let counted = bookmark.served(3, in: order)
    #expect(counted)
  }
}
