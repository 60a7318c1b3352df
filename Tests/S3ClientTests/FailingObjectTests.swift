import Glibc
import Remote
import S3Client
import TestSupport
import Testing

/// One object that stalls or fails, and the readers of others.
@Suite(.timeLimit(.minutes(10))) struct FailingObjectTests {
  private let content = noise(100_000)

  private func info(_ name: String) -> ObjectInfo {
    ObjectInfo(key: ObjectKey(name), sizeBytes: 100_000, eTag: "\"one\"")
  }

  /// A server that does with `bad.tar` as it is told, and gives what else is asked for.
  private func server(_ bad: ScriptedServer.Action) throws -> ScriptedServer {
    try ScriptedServer { [content] _, request in
      request.path.contains("bad") ? [bad] : [.part(of: content, request)]
    }
  }

  /// Readers of `bad.tar`, who wait.
  private func crowd(_ store: S3ObjectStore, _ count: Int = 40) -> [CollectingReceiver] {
    (0..<count).map { number in
      let receiver = CollectingReceiver()
      let start = Int64(number * 1000)
      _ = store.fetch(
        RangeRequest(object: info("bad.tar"), range: start..<start + 1000, priority: .reader),
        into: receiver
      )
      return receiver
    }
  }

  private func expectGood(_ store: S3ObjectStore) throws {
    let isEqual = try store.bytes(0..<50_000, of: info("good.tar")) == Array(content[..<50_000])
    #expect(isEqual)
  }

  @Test(
    "an object has no further slot once it has four times what is free, or fails and has an eighth"
  )
  func shares() {
    let now = ContinuousClock.now
    let (first, second) = (ObjectKey("1"), ObjectKey("2"))
    var shares = ObjectShares()
    func fill(_ key: ObjectKey) -> Int {
      while shares.hasRoom(for: key, ofSlots: 40) { shares.began(key) }
      return shares.count(of: key)
    }
    #expect(fill(first) == 32)
    #expect(fill(second) == 7)
    #expect(shares.hasRoom(for: nil, ofSlots: 40))
    for _ in 0..<32 { shares.ended(first) }
    shares.failed(first, at: now)
    shares.failed(first, at: now + .seconds(1))
    #expect(shares.failingSince(first) == now && shares.failingSince(second) == nil)
    #expect(fill(first) == 5)
    shares.succeeded(first)
    #expect(fill(first) == 27)
  }

  @Test("while 40 readers wait for an object that stalls, another one is read")
  func stalling() throws {
    let server = try server(.stall)
    let store = try FaultTests.store(server) { options in
      options.transfers.maxConnections = 8
      // Longer than this test may take.
      options.transfers.headTimeout = .seconds(90)
    }
    let readers = crowd(store)
    try expectGood(store)
    // Of 16.
    #expect(server.requests.count { $0.path.contains("bad") } <= 13)
    store.shutDown()
    for reader in readers { #expect(throws: StoreError.cancelled) { try reader.wait() } }
  }

  @Test("where an object's failures have opened the circuit, another one's readers need not queue")
  func failing() throws {
    let lines = KeptLines()
    let server = try server(.reset)
    let store = try FaultTests.store(server, logger: lines.logger)
    let readers = crowd(store)
    while !lines.all.contains(where: { $0.contains("s3.circuit_open") }) { usleep(1_000) }
    // One probe a second for those before it would take longer than its 20 s.
    try expectGood(store)
    // The answer comes before the line.
    while !lines.all.contains(where: { $0.contains("s3.circuit_closed") }) { usleep(1_000) }
    store.shutDown()
    for reader in readers { #expect(throws: StoreError.self) { try reader.wait() } }
  }

  @Test("who waits for a turn at an object that fails all the while has waited after his time")
  func queuing() throws {
    let store = try FaultTests.store(try server(.stall)) { options in
      options.transfers.maxConnections = 2
      options.transfers.retry.timeout = .seconds(2)
    }
    defer { store.shutDown() }
    for reader in crowd(store) {
      #expect(throws: StoreError.self) { try reader.wait() }
    }
    #expect(store.statistics.failures == 40)
  }
}
