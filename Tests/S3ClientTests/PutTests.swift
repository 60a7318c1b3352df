import Logging
import Remote
import S3Client
import TestSupport
import Testing

/// PutObject against a real server that verifies signatures and sums: `rclone serve s3`.
@Suite(.enabled(if: S3Server.isAvailable), .serialized, .timeLimit(.minutes(10)))
struct PutTests {
  private func store(
    _ server: S3Server,
    change: (inout S3Options) -> Void = { _ in }
  ) throws -> S3ObjectStore {
    var options = S3Options(environment: server.environment)
    change(&options)
    return try S3ObjectStore(
      bucket: "bucket",
      prefix: [],
      options: options,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
  }

  private func content(of key: ObjectKey, in store: S3ObjectStore) throws -> [UInt8]? {
    var found: ObjectInfo?
    try store.list { (page) throws(StoreError) in
      found = found ?? page.first { $0.key == key }
    }
    guard let found else { return nil }
    return try fetched(found, 0..<found.sizeBytes, from: store)
  }

  private func fetched(
    _ object: ObjectInfo,
    _ range: Range<Int64>,
    from store: S3ObjectStore
  ) throws -> [UInt8] {
    let receiver = CollectingReceiver()
    _ = store.fetch(RangeRequest(object: object, range: range, priority: .reader), into: receiver)
    return try receiver.wait()
  }

  @Test("an object that was put is there, byte by byte, whatever its key and size")
  func roundTrip() throws {
    let server = try S3Server()
    try server.directory.makeDirectory("bucket")
    let store = try store(server)
    defer { store.shutDown() }
    for (name, count) in [
      ("a.pack", 1), (".wdsfs/index/0-of-1.pack", 100_000), ("a b+c%20/é.pack", 3_000_000),
    ] {
      let bytes = noise(count)
      try store.put(ObjectContent(copying: bytes), to: ObjectKey(name))
      #expect(try content(of: ObjectKey(name), in: store) == bytes)
    }
    // Again, in the place of the first.
    try store.put(ObjectContent(copying: [7, 7]), to: ObjectKey("a.pack"))
    #expect(try content(of: ObjectKey("a.pack"), in: store) == [7, 7])
  }

  @Test("who may not write is told so, and nothing is put")
  func refused() throws {
    let server = try S3Server()
    try server.directory.makeDirectory("bucket")
    let stranger = try store(server) { options in
      options.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    }
    defer { stranger.shutDown() }
    #expect(throws: StoreError.self) {
      try stranger.put(ObjectContent(copying: [1]), to: ObjectKey("a.pack"))
    }
    let store = try store(server)
    defer { store.shutDown() }
    #expect(try content(of: ObjectKey("a.pack"), in: store) == nil)
  }
}
