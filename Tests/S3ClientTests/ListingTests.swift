import Remote
import S3Client
import Synchronization
import TestSupport
import Testing

/// Listings that go wrong (docs/reliability.md, S26 and S27).
@Suite(.timeLimit(.minutes(10))) struct ListingTests {
  private func list(
    _ script: @escaping @Sendable (Int, ScriptedServer.Request) -> [ScriptedServer.Action]
  ) throws -> (result: Result<[ObjectInfo], StoreError>, requests: [ScriptedServer.Request]) {
    let server = try ScriptedServer(script)
    // None of these waits for a limit, and with a sanitizer a page takes seconds.
    let store = try FaultTests.store(server) { options in
      options.listTimeout = .seconds(300)
      options.transfers.headTimeout = .seconds(300)
      options.transfers.stallTime = .seconds(300)
      options.transfers.retry.timeout = .seconds(300)
    }
    defer { store.shutDown() }
    do throws(StoreError) {
      return (.success(try store.objects()), server.requests)
    } catch {
      return (.failure(error), server.requests)
    }
  }

  private static func page(_ inside: String) -> ScriptedServer.Action {
    .reply("200 OK", body: "<ListBucketResult>\(inside)</ListBucketResult>".utf8)
  }

  private static let entry = "<Contents><Key>a.tar</Key><Size>1</Size></Contents>"

  @Test(
    "what is no listing is asked for three times, and is never an empty bucket",
    arguments: [
      "", "<html>hello</html>", "<ListBucketResult><Contents>", "<Error><Code>x</Code></Error>",
      "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">]><ListBucketResult>&a;</ListBucketResult>",
    ]
  )
  func malformed(body: String) throws {
    let (result, requests) = try list { _, _ in [.reply("200 OK", body: body.utf8)] }
    #expect(requests.count == 3)
    guard case .failure(.badReply) = result else {
      Issue.record("taken: \(result)")
      return
    }
  }

  @Test("a listing that is cut off once is asked for again")
  func cutOnce() throws {
    let (result, requests) = try list { number, _ in
      number == 0
        ? [.text("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<ListBucketResult>"), .close]
        : [Self.page(Self.entry)]
    }
    #expect(try result.get().map(\.key) == [ObjectKey("a.tar")])
    #expect(requests.count == 2)
  }

  @Test("a token that comes again, or is missing, is an error; so are pages without end")
  func loops() throws {
    let truncated = "<IsTruncated>true</IsTruncated>"
    let token = "<NextContinuationToken>t</NextContinuationToken>"
    let (missing, _) = try list { _, _ in [Self.page(Self.entry + truncated)] }
    let (again, requests) = try list { _, _ in [Self.page(Self.entry + truncated + token)] }
    let (empty, _) = try list { number, _ in
      [
        Self.page(
          truncated + "<NextContinuationToken>t\(number)</NextContinuationToken>"
        )
      ]
    }
    for result in [missing, again, empty] {
      guard case .failure(.endlessListing) = result else {
        Issue.record("taken: \(result)")
        return
      }
    }
    #expect(requests.count == 2)
    #expect(requests.last?.path.hasPrefix("/b/?continuation-token=t&encoding-type=url") ?? false)
  }

  @Test("a long listing is asked for in sections, and every key comes once and in order")
  func sections() throws {
    let keys = PagedKeys(PagedKeys.numbered("train/", 3000), pageCount: 50)
    let (result, requests) = try list { _, request in [keys.reply(to: request)] }
    let isEqual = try result.get().map(\.key) == keys.keys.map { ObjectKey($0) }
    #expect(isEqual)
    #expect(requests.count { $0.path.contains("start-after=") } >= 2)
    #expect(requests.count <= 120)
  }

  @Test(
    "a store that does not honour start-after, or does not sort, is walked page by page",
    arguments: [PagedKeys.Habit.ignoresStartAfter, .unsorted, .skipsOne]
  )
  func walked(habit: PagedKeys.Habit) throws {
    let keys = PagedKeys(PagedKeys.numbered("train/", 3000), habit: habit, pageCount: 50)
    let (result, _) = try list { _, request in [keys.reply(to: request)] }
    let isEqual = try result.get().map(\.key) == keys.keys.map { ObjectKey($0) }
    #expect(isEqual)
  }

  @Test("a page beyond 8 MiB is not taken")
  func hugePage() throws {
    let (result, _) = try list { _, _ in
      [.text("HTTP/1.1 200 OK\r\n\r\n"), .endlessly(Array(repeating: 32, count: 65_536))]
    }
    guard case .failure(.badReply) = result else {
      Issue.record("taken: \(result)")
      return
    }
  }

  @Test("a listing that does not come ends within its own time")
  func timeLimit() throws {
    let server = try ScriptedServer { _, _ in [.stall] }
    let store = try FaultTests.store(server) { options in
      options.listTimeout = .milliseconds(500)
      options.transfers.headTimeout = .seconds(300)
    }
    defer { store.shutDown() }
    let start = ContinuousClock.now
    #expect(throws: StoreError.self) { try store.objects() }
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test("without --no-sign-request and keys nothing is sent; with it nothing is signed")
  func unsigned() throws {
    let server = try ScriptedServer { _, _ in [Self.page(Self.entry)] }
    let store = try FaultTests.store(server, keys: false)
    defer { store.shutDown() }
    #expect(try store.objects().count == 1)
    #expect(server.requests.first?.headers["authorization"] == nil)
  }
}
