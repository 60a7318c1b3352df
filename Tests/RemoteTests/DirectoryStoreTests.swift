import Remote
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct DirectoryStoreTests {
  private func object(_ store: DirectoryStore, _ key: String) throws -> ObjectInfo {
    try #require(try store.objects().first { $0.key == ObjectKey(key) })
  }

  @Test("every file below is listed, links to files too, cycles and pipes not")
  func listing() throws {
    let files = try TemporaryDirectory()
    try files.write([1, 2, 3], to: "train/a.tar")
    try files.write([], to: "train/deep/er/b.tar")
    try files.write([1], toBytes: [0xFF, 0x41])
    files.link("link.tar", to: "train/a.tar")
    files.link("train/up", to: "..")
    files.link("broken", to: "nowhere")
    files.makePipe("pipe")
    let store = try DirectoryStore(path: files.path)
    defer { store.shutDown() }
    let objects = try store.objects()
    let keys = ["link.tar", "train/a.tar", "train/deep/er/b.tar"].map { ObjectKey($0) }
    #expect(Set(objects.map(\.key)) == Set(keys + [ObjectKey([0xFF, 0x41])]))
    #expect(objects.first { $0.key == keys[1] }?.sizeBytes == 3)
    #expect(store.identity == "file:" + files.path)
    let dataset = try Dataset(listing: store, at: RemoteAddress(parsing: files.path))
    #expect(dataset.shards.map(\.key) == keys)
    #expect(
      dataset.splits.map(\.shards) == [[1, 2], [0]]
        || dataset.splits.map(\.shards) == [[0], [1, 2]]
    )
  }

  @Test("ranges are byte-exact, many at once, also of more files than are kept open")
  func ranges() throws {
    let files = try TemporaryDirectory()
    let content = noise(1_000_000)
    try files.write(content, to: "big.tar")
    for number in 0..<100 {
      try files.write(noise(1000, seed: UInt64(number)), to: "\(number).tar")
    }
    let store = try DirectoryStore(path: files.path)
    defer { store.shutDown() }
    let objects = try store.objects()
    let big = try object(store, "big.tar")
    var waiting: [([UInt8], CollectingReceiver)] = []
    for (number, object) in objects.enumerated() {
      let range = Int64(number)..<object.sizeBytes
      let receiver = CollectingReceiver()
      _ = store.fetch(
        RangeRequest(object: object, range: range, priority: .readAhead),
        into: receiver
      )
      let whole =
        object == big
        ? content
        : noise(1000, seed: UInt64(object.key.description.dropLast(4)) ?? 0)
      waiting.append((Array(whole[number...]), receiver))
    }
    for (expected, receiver) in waiting { #expect(try receiver.wait() == expected) }
    #expect(try store.bytes(999_990..<1_000_000, of: big) == Array(content.suffix(10)))
    #expect(try store.bytes(5..<5, of: big).isEmpty)
    #expect(store.statistics.requestsInFlight == 0 && store.statistics.failures == 0)
  }

  @Test("a file that was written to, replaced, cut or deleted since the listing is told")
  func changed() throws {
    let files = try TemporaryDirectory()
    for name in ["a", "b", "c"] { try files.write(noise(5000), to: name) }
    let store = try DirectoryStore(path: files.path)
    defer { store.shutDown() }
    let objects = try store.objects()
    // Each is open by now.
    for object in objects {
      #expect(try store.bytes(0..<10, of: object) == Array(noise(5000)[..<10]))
    }
    try files.write(noise(5000, seed: 2), to: "a.new")
    try files.rename("a.new", to: "a")
    try files.write(noise(10), to: "b")
    try files.remove("c")
    for object in objects[..<2] {
      let error = #expect(throws: StoreError.self) { try store.bytes(0..<10, of: object) }
      guard case .objectChanged(object.key, _, _) = error else {
        Issue.record("\(error?.description ?? "the changed file was read")")
        return
      }
    }
    #expect(throws: StoreError.noSuchObject(key: objects[2].key)) {
      try store.bytes(0..<10, of: objects[2])
    }
  }

  @Test("a key that leads out of the tree, or is none, is not opened")
  func outside() throws {
    let files = try TemporaryDirectory()
    try files.write([1], to: "in/a")
    try files.write([2], to: "out")
    let store = try DirectoryStore(path: files.path + "/in")
    defer { store.shutDown() }
    let listed = try object(store, "a")
    for key in ["../out", "/etc/passwd", "a/../../out", "", "a\0b"] {
      let object = ObjectInfo(key: ObjectKey(key), sizeBytes: 1, eTag: listed.eTag)
      #expect(throws: StoreError.noSuchObject(key: object.key)) {
        try store.bytes(0..<1, of: object)
      }
    }
  }

  @Test("a pause gives the same bytes again, a stop and a cancel end the read, a shut-down all")
  func pauses() throws {
    let files = try TemporaryDirectory()
    let content = noise(1_000_000)
    try files.write(content, to: "a")
    let store = try DirectoryStore(path: files.path, threads: 2)
    let request = RangeRequest(
      object: try object(store, "a"),
      range: 0..<1_000_000,
      priority: .reader
    )
    let paused = CollectingReceiver(pausesAt: [0, 2])
    let ticket = store.fetch(request, into: paused)
    for _ in 0..<2 {
      paused.waitForPause()
      ticket.resume()
    }
    #expect(try paused.wait() == content)
    let cancelled = CollectingReceiver(pausesAt: [1])
    let second = store.fetch(request, into: cancelled)
    cancelled.waitForPause()
    second.cancel()
    #expect(throws: StoreError.cancelled) { try cancelled.wait() }
    let orphan = CollectingReceiver(pausesAt: [1])
    _ = store.fetch(request, into: orphan)
    orphan.waitForPause()
    store.shutDown()
    #expect(throws: StoreError.cancelled) { try orphan.wait() }
    #expect(throws: StoreError.cancelled) { try store.bytes(0..<1, of: request.object) }
  }

  @Test("a directory that is missing, or a file, is told as such")
  func noDirectory() throws {
    let files = try TemporaryDirectory()
    try files.write([1], to: "file")
    #expect(throws: StoreError.noSuchContainer("the directory \(files.path)/nothing")) {
      try DirectoryStore(path: files.path + "/nothing")
    }
    guard
      case .invalid = #expect(
        throws: StoreError.self,
        performing: {
          try DirectoryStore(path: files.path + "/file")
        }
      )
    else {
      Issue.record("not told")
      return
    }
  }
}
