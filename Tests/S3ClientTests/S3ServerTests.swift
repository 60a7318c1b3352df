import Logging
import Remote
import S3Client
import TestSupport
import Testing

/// A real server that verifies signatures: `rclone serve s3`.
@Suite(.enabled(if: S3Server.isAvailable), .serialized, .timeLimit(.minutes(10)))
struct S3ServerTests {
  private func store(
    _ server: S3Server,
    _ bucket: String = "bucket",
    prefix: String = "",
    change: (inout S3Options) -> Void = { _ in }
  ) throws -> S3ObjectStore {
    var options = S3Options(environment: server.environment)
    change(&options)
    return try S3ObjectStore(
      bucket: bucket,
      prefix: Array(prefix.utf8),
      options: options,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
  }

  @Test("a listing of several pages names every object once, with its size")
  func paging() throws {
    let server = try S3Server()
    for number in 0..<2345 {
      try server.directory.write(noise(number % 7), to: "bucket/train/x-\(number).tar")
    }
    try server.directory.write([1], to: "bucket/other/y.tar")
    let store = try store(server, prefix: "train/")
    defer { store.shutDown() }
    var pages: [Int] = []
    var objects: [ObjectInfo] = []
    try store.list { (page) throws(StoreError) in
      pages.append(page.count)
      objects += page
    }
    #expect(pages == [1000, 1000, 345])
    #expect(Set(objects.map(\.key)) == Set((0..<2345).map { ObjectKey("train/x-\($0).tar") }))
    #expect(objects.allSatisfy { !$0.eTag.isEmpty && $0.modifiedSeconds > 0 })
    let seven = try #require(objects.first { $0.key == ObjectKey("train/x-6.tar") })
    #expect(seven.sizeBytes == 6)
  }

  @Test("keys of odd characters are listed and fetched as they are")
  func oddKeys() throws {
    let server = try S3Server()
    let names = [
      "a b.tar", "a+b.tar", "100%.tar", "a%20b.tar", "q?x=1.tar", "h#1.tar", "caf\u{E9}.tar",
      "cafe\u{301}.tar", "\u{1F600}.tar", "a&b=c;d.tar", "'\"<>.tar", "(x)!*~$,@:.tar",
      "..x/...tar",
    ]
    for (number, name) in names.enumerated() {
      try server.directory.write(noise(100, seed: UInt64(number)), to: "bucket/\(name)")
    }
    let store = try store(server)
    defer { store.shutDown() }
    let objects = try store.objects()
    #expect(Set(objects.map(\.key)) == Set(names.map { ObjectKey($0) }))
    for (number, name) in names.enumerated() {
      let object = try #require(objects.first { $0.key == ObjectKey(name) })
      #expect(try store.bytes(0..<100, of: object) == noise(100, seed: UInt64(number)))
      #expect(
        try store.bytes(7..<31, of: object) == Array(noise(100, seed: UInt64(number))[7..<31])
      )
    }
  }

  @Test("many ranges in flight are byte-exact, and connections are few")
  func manyRanges() throws {
    let server = try S3Server()
    let content = noise(4_000_000)
    try server.directory.write(content, to: "bucket/x.tar")
    // A busy machine is no reason to ask again.
    let store = try store(server) { options in
      options.transfers.headTimeout = .seconds(300)
      options.transfers.stallTime = .seconds(300)
    }
    defer { store.shutDown() }
    let object = try #require(try store.objects().first)
    var receivers: [(Range<Int64>, CollectingReceiver)] = []
    for number in 0..<200 {
      let start = Int64(number * 19_997)
      let range = start..<min(start + 40_001, 4_000_000)
      let receiver = CollectingReceiver()
      _ = store.fetch(
        RangeRequest(
          object: object,
          range: range,
          priority: number.isMultiple(of: 3) ? .reader : .readAhead
        ),
        into: receiver
      )
      receivers.append((range, receiver))
    }
    for (range, receiver) in receivers {
      #expect(try receiver.wait() == Array(content[Int(range.lowerBound)..<Int(range.upperBound)]))
    }
    #expect(store.statistics.requests == 201)
    #expect(store.statistics.retries == 0)
    #expect(try store.bytes(0..<0, of: object).isEmpty)
  }

  @Test("a wrong secret and an unknown key are refused as credentials")
  func wrongKey() throws {
    let server = try S3Server()
    try server.directory.write([1], to: "bucket/x.tar")
    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "NOBODY")] {
      let store = try store(server) { $0.environment[name] = value }
      defer { store.shutDown() }
      let error = #expect(throws: StoreError.self) { try store.objects() }
      #expect(error?.description.contains("the environment") ?? false)
    }
  }

  @Test("a bucket that is not there is named")
  func noSuchBucket() throws {
    let server = try S3Server()
    let store = try store(server, "nothing-here")
    defer { store.shutDown() }
    let error = #expect(throws: StoreError.self) { try store.objects() }
    guard case .noSuchContainer(let name) = error else {
      Issue.record("\(error?.description ?? "a listing of nothing")")
      return
    }
    #expect(name.contains("nothing-here"))
  }

  @Test("an object replaced or deleted after the listing is told, never read")
  func changed() throws {
    let server = try S3Server()
    try server.directory.write(noise(5000, seed: 1), to: "bucket/x.tar")
    try server.directory.write(noise(5000, seed: 1), to: "bucket/y.tar")
    let store = try store(server)
    defer { store.shutDown() }
    let objects = try store.objects()
    let first = try #require(objects.first { $0.key == ObjectKey("x.tar") })
    let second = try #require(objects.first { $0.key == ObjectKey("y.tar") })
    try server.directory.write(noise(5000, seed: 2), to: "bucket/x.tar")
    let error = #expect(throws: StoreError.self) { try store.bytes(10..<20, of: first) }
    guard case .objectChanged(let key, let listed, let found) = error else {
      Issue.record("\(error?.description ?? "the replaced object was read")")
      return
    }
    #expect(key == first.key && listed == first.eTag && found != listed)
    try server.directory.remove("bucket/y.tar")
    #expect(throws: StoreError.noSuchObject(key: second.key)) {
      try store.bytes(10..<20, of: second)
    }
  }

  @Test("keys from a profile of the shared files work, and region and endpoint with them")
  func profile() throws {
    let server = try S3Server()
    try server.directory.write([1, 2, 3], to: "bucket/x.tar")
    let files = try TemporaryDirectory()
    try files.write(
      "[default]\nregion = us-west-2\n[profile mine]\nendpoint_url = \(server.endpointURL)\nregion=eu-west-1\n"
        .utf8,
      to: "config"
    )
    try files.write(
      "[mine]\naws_access_key_id = \(S3Server.accessKeyID)\naws_secret_access_key = \(S3Server.secretAccessKey)\n"
        .utf8,
      to: "credentials"
    )
    let store = try store(server) { options in
      options.profile = "mine"
      options.environment = [
        "AWS_CONFIG_FILE": "\(files.path)/config",
        "AWS_SHARED_CREDENTIALS_FILE": "\(files.path)/credentials",
        // An explicit profile removes the environment.
        "AWS_ACCESS_KEY_ID": "wrong", "AWS_SECRET_ACCESS_KEY": "wrong",
      ]
    }
    defer { store.shutDown() }
    #expect(try store.objects().map(\.sizeBytes) == [3])
  }
}
