import Testing

@testable import SampleTree

@Suite("small fields are pushed to who reads samples whole")
struct SmallFieldTests {
  /// Reads samples whole, a small field first, as a loader that goes by names does.
  private func readWhole(_ positions: Range<Int>, _ pushes: inout SmallFieldPushes) {
    for position in positions {
      pushes.noteRead(of: position, isLargest: false)
      pushes.noteRead(of: position, isLargest: true)
    }
  }

  @Test("nothing is pushed before reading whole samples has become a habit")
  func habit() {
    var pushes = SmallFieldPushes()
    readWhole(0..<SmallFieldPushes.habitCount - 1, &pushes)
    let isEarly = pushes.begin()
    #expect(!isEarly)
    readWhole(100..<101, &pushes)
    let isTime = pushes.begin()
    #expect(isTime)
  }

  @Test("who reads one kind of field only is pushed nothing", arguments: [false, true])
  func oneField(isLargest: Bool) {
    var pushes = SmallFieldPushes()
    for position in 0..<1000 {
      pushes.noteRead(of: position, isLargest: isLargest)
      let isPushed = pushes.begin()
      #expect(!isPushed)
    }
  }

  @Test("reading on, each sample's push follows the read of the one before")
  func steady() {
    var pushes = SmallFieldPushes()
    readWhole(0..<SmallFieldPushes.habitCount, &pushes)
    for position in 100..<10_000 {
      let isPushed = pushes.begin()
      #expect(isPushed)
      // The small fields are in the kernel now, and only the largest is asked for.
      pushes.noteRead(of: position, isLargest: true)
    }
  }

  @Test("who stops reading the largest field gets no more pushed, until it is read again")
  func stops() {
    var pushes = SmallFieldPushes()
    readWhole(0..<SmallFieldPushes.habitCount, &pushes)
    var pushedCount = 0
    for _ in 0..<1000 where pushes.begin() { pushedCount += 1 }
    #expect(pushedCount == SmallFieldPushes.maxOpenCount)
    pushes.noteRead(of: 2000, isLargest: true)
    let isPushed = [pushes.begin(), pushes.begin()]
    #expect(isPushed == [true, false])
  }

  @Test("what is pushed is every field but the largest, and samples of one field do not end it")
  func throughTree() throws {
    let test = try TestTree([
      "train/a.tar": .samples(SmallFieldPushes.habitCount, shard: 0),
      "train/b.tar": TestShard(
        (0..<2 * SmallFieldPushes.maxOpenCount).map { .init("b\($0).jpg", "x") }
      ),
      "train/c.tar": .samples(2, shard: 2),
    ])
    let habitCount = SmallFieldPushes.habitCount
    for position in 0..<habitCount {
      let sample = "train/0/\(TestTree.name(position))"
      _ = try test.text("\(sample)/cls")
      _ = try test.text("\(sample)/jpg")
    }
    var pushed: [UInt64: String] = [:]
    let last = habitCount + 2 * SmallFieldPushes.maxOpenCount
    // The shard's bytes are at hand from then on.
    try test.readSamples([last + 1], of: "train/0")
    for position in habitCount...last {
      let sample = try test.find("train/0/\(TestTree.name(position))")
      test.tree.forEachSmallField(of: sample.inode) { inode, bytes in
        pushed[inode] = String(decoding: bytes, as: UTF8.self)
      }
    }
    let label = try test.find("train/0/\(TestTree.name(last))/cls")
    #expect(pushed == [label.inode: "0"])
  }
}
