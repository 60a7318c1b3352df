import Remote
import S3Client
import TestSupport
import Testing

/// A second request for a read whose reply, or the rest of it, lets wait much longer than others do,
/// and fresh connections where transfers stall again and again.
@Suite(.timeLimit(.minutes(10))) struct HedgeTests {
  @Test("patience is four times what nine in ten waited, and has a least of its own for bodies")
  func patience() {
    var plan = HedgePlan()
    func note(_ count: Int, _ wait: Duration, _ silence: Duration) {
      for _ in 0..<count { plan.succeeded(after: wait, longestSilence: silence) }
    }
    note(15, .milliseconds(100), .milliseconds(300))
    #expect(plan.patience == nil && plan.bodyPatience == nil)
    note(1, .seconds(9), .seconds(9))
    #expect(plan.patience == .milliseconds(400) && plan.bodyPatience == .milliseconds(1200))
    note(64, .milliseconds(1), .milliseconds(1))
    #expect(plan.patience == .milliseconds(200) && plan.bodyPatience == .milliseconds(500))
  }

  @Test("one request in twenty may be sent a second time")
  func credit() {
    var plan = HedgePlan()
    #expect([plan.take(), plan.take()] == [true, false])
    for _ in 0..<41 { plan.succeeded(after: .zero, longestSilence: .zero) }
    #expect([plan.take(), plan.take(), plan.take()] == [true, true, false])
  }

  private let object = noise(300_000)
  private let info = ObjectInfo(key: ObjectKey("x.tar"), sizeBytes: 300_000, eTag: "\"one\"")

  /// A store that knows how fast its server mostly is.
  private func warmStore(_ server: ScriptedServer) throws -> S3ObjectStore {
    let store = try FaultTests.store(server) { options in
      options.transfers.headTimeout = .seconds(30)
      options.transfers.stallTime = .seconds(30)
    }
    for _ in 0..<16 { _ = try store.bytes(0..<10, of: info) }
    return store
  }

  @Test("a read whose reply does not come is answered by a second request, each byte once")
  func secondRequest() throws {
    let server = try ScriptedServer { [object] number, request in
      number == 16 ? [.stall] : [.part(of: object, request)]
    }
    let store = try warmStore(server)
    defer { store.shutDown() }
    let isEqual = try store.bytes(1000..<200_000, of: info) == Array(object[1000..<200_000])
    #expect(isEqual)
    #expect(server.requests.count == 18)
    #expect(store.statistics.hedges == 1)
    #expect(store.statistics.requestsInFlight == 0)
  }

  @Test("a second request that fails leaves the first one its turn, and read-ahead gets none")
  func firstRequestWins() throws {
    let second = ReadySignal()
    let server = try ScriptedServer { [object] number, request in
      if number == 17 {
        second.signal()
        return [.reset]
      }
      return number == 16
        ? [.wait(second), .part(of: object, request)] : [.part(of: object, request)]
    }
    let store = try warmStore(server)
    defer { store.shutDown() }
    #expect(try store.bytes(0..<10, of: info) == Array(object[..<10]))
    #expect(server.requests.count == 18)
    let slow = try ScriptedServer { [object] number, request in
      number == 16
        ? [.pause(.milliseconds(900)), .part(of: object, request)] : [.part(of: object, request)]
    }
    let other = try warmStore(slow)
    defer { other.shutDown() }
    #expect(try other.bytes(0..<10, of: info, priority: .readAhead) == Array(object[..<10]))
    #expect(slow.requests.count == 17)
  }

  /// A third of what is asked for, and then nothing more.
  private static func stalling(
    _ object: [UInt8],
    _ request: ScriptedServer.Request
  ) -> [ScriptedServer.Action] {
    guard case .send(let whole) = ScriptedServer.Action.part(of: object, request) else { return [] }
    return [.send(Array(whole[..<(whole.count / 3)])), .stall]
  }

  @Test("a body that falls silent is gone on with by another request, each byte once")
  func silentBody() throws {
    let server = try ScriptedServer { [object] number, request in
      number == 16 ? Self.stalling(object, request) : [.part(of: object, request)]
    }
    let store = try warmStore(server)
    defer { store.shutDown() }
    let isEqual = try store.bytes(1000..<200_000, of: info) == Array(object[1000..<200_000])
    #expect(isEqual)
    #expect(server.requests.count == 18)
    let range = server.requests.last?.headers["range"] ?? ""
    #expect(range.hasSuffix("-199999") && range != "bytes=1000-199999")
    #expect(store.statistics.hedges == 1)
    #expect(store.statistics.requestsInFlight == 0)
  }

  @Test("of a range's attempts three are cut short, and then no more before 8 MiB have come")
  func fewCuts() {
    let now = ContinuousClock.now
    var state = RetryState(since: now)
    for _ in 0..<3 {
      #expect(state.mayCutShort)
      state.cutShort()
    }
    #expect(!state.mayCutShort)
    state.advanced(to: 1 << 20, at: now, RetryPolicy())
    #expect(!state.mayCutShort)
    state.advanced(to: 8 << 20, at: now, RetryPolicy())
    #expect(state.mayCutShort)
  }

  @Test("the third stall within a minute asks for a fresh look-up, and counting starts anew")
  func stalls() {
    let start = ContinuousClock.now
    var history = StallHistory()
    let early = [0, 40, 80].map { history.stalled(at: start + .seconds($0)) }
    #expect(early == [false, false, false] && history.freshSince == nil)
    let late = [90, 91].map { history.stalled(at: start + .seconds($0)) }
    #expect(late == [true, false])
    #expect(history.freshSince == start + .seconds(90))
  }
}
