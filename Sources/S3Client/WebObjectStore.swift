package import Logging
package import Remote
import Synchronization

/// The store over a web server: the shards of a pattern, without a listing.
///
/// Keys are the paths below the folder that all names share.
package final class WebObjectStore: ObjectStore {
  /// Asked for at once: enough to hide latency, and a page for the caller.
  private static let pageCount = 1000

  package let displayName: String
  package var identity: String { "web:" + origin.base.text }
  private let origin: WebOrigin
  private let keys: [ObjectKey]
  private let loop: TransferLoop
  private let listTimeout: Duration

  /// Starts the store's thread; nothing is sent yet.
  ///
  /// - Parameters:
  ///   - urls: The pattern's names, in its order, as `RemoteAddress.web` has them.
  ///   - displayName: What users call the remote.
  ///   - transfers: Limits and retries.
  ///   - listTimeout: For each page of a thousand names.
  ///   - generator: Makes the jitter of the retries.
  ///   - logger: Gets the events.
  /// - Throws: `StoreError.invalid` for what is no URL, for user names in it, and for names on more
  ///   than one server.
  package init(
    urls: [[UInt8]],
    displayName: String,
    transfers: TransferOptions = TransferOptions(),
    listTimeout: Duration = .seconds(9),
    generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
    logger: Logger
  ) throws(StoreError) {
    let names = try WebNames(urls)
    origin = WebOrigin(base: names.base, queries: names.queries)
    keys = names.keys
    self.displayName = displayName
    self.listTimeout = listTimeout
    try transfers.check(names.base.server, logger)
    loop = TransferLoop(
      options: transfers,
      endpoint: names.base.server.origin,
      generator: generator,
      logger: logger
    )
  }

  package func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    var firstMissing: ObjectKey?
    var missingCount = 0
    var acceptsRanges: Bool?
    for start in stride(from: 0, to: keys.count, by: Self.pageCount) {
      let some = keys[start..<min(start + Self.pageCount, keys.count)]
      if acceptsRanges == nil { acceptsRanges = try probe(some[some.startIndex]) }
      var found: [ObjectInfo] = []
      for (key, answer) in try heads(of: some) {
        switch answer {
        case .some(let head): found.append(head.object(key, acceptsRanges ?? true))
        case nil:
          missingCount += 1
          if firstMissing == nil { firstMissing = key }
        }
      }
      if missingCount == 0 { try page(found) }
    }
    if let firstMissing {
      throw .missingShards(
        first: origin.base.text + firstMissing.description,
        missingCount: missingCount,
        totalCount: keys.count
      )
    }
  }

  package func fetch(
    _ request: RangeRequest,
    into receiver: any RangeReceiver
  ) -> any FetchTicket {
    let container = String(origin.base.text.dropLast())
    return loop.start(
      RangeFetch(request, into: receiver, from: origin, container: container),
      priority: request.priority
    )
  }

  package var statistics: StoreStatistics { loop.statistics }
  package var requestTimes: RequestTimes { loop.requestTimes }

  package func shutDown() {
    loop.shutDown()
  }
}

// MARK: - Heads

extension WebObjectStore {
  /// Asks for the heads of many names at once; nil for each that is missing.
  private func heads(
    of keys: ArraySlice<ObjectKey>
  ) throws(StoreError) -> [(ObjectKey, WebHead?)] {
    let deadline = ContinuousClock.now + listTimeout
    var heads: [(ObjectKey, WebHead?)] = []
    var asked = keys.map { ($0, ask($0, .head, deadline)) }
    var unknown: [Int] = []
    for (place, (key, answer)) in asked.enumerated() {
      let reply = try reply(to: answer)
      if case .untold = reply {
        // The server knows no HEAD, or does not tell the size there.
        asked[place].1 = ask(key, .get, deadline)
        unknown.append(place)
      }
      heads.append((key, reply.head))
    }
    for place in unknown {
      let (key, answer) = asked[place]
      let reply = try reply(to: answer)
      if case .untold = reply {
        throw .badReply(what: "asking for \(origin.base.text)\(key)", detail: "no size is told")
      }
      heads[place].1 = reply.head
    }
    return heads
  }

  private enum Reply {
    case told(WebHead)
    case untold
    case missing

    var head: WebHead? { if case .told(let head) = self { head } else { nil } }
  }

  private func reply(to answer: Answer<WebHead?>) throws(StoreError) -> Reply {
    do throws(StoreError) {
      return try answer.wait().map { .told($0) } ?? .untold
    } catch .noSuchObject {
      return .missing
    }
  }

  /// Whether the server gives parts: by its word, else by asking for one byte; nil where the
  /// object is missing.
  private func probe(_ key: ObjectKey) throws(StoreError) -> Bool? {
    let deadline = ContinuousClock.now + listTimeout
    do throws(StoreError) {
      if let word = try ask(key, .head, deadline).wait()?.acceptsRanges { return word }
      return try ask(key, .get, deadline).wait()?.acceptsRanges ?? false
    } catch .noSuchObject {
      return nil
    }
  }

  /// Sends a HEAD, or a GET of the first byte, whose body is not waited for.
  ///
  /// The answer is nil where the reply does not tell the size, or HEAD is not known.
  private func ask(
    _ key: ObjectKey,
    _ method: HTTPRequest.Method,
    _ deadline: ContinuousClock.Instant
  ) -> Answer<WebHead?> {
    let answer = Answer<WebHead?>()
    let target = RequestTarget(
      method: method,
      key: key,
      range: method == .get ? 0..<1 : nil,
      what: "asking for \(origin.base.text)\(key)"
    )
    let fetch = BodyFetch(target, maxBytes: 0, from: origin, answer: answer.give) {
      head,
      _ in
      if method == .head, head.status == 405 || head.status == 501 { return .value(nil) }
      // An empty object has no first byte (RFC 9110, section 14.4).
      if head.status == 416, head["content-range"] == "bytes */0" {
        return .value(WebHead(head, sizeBytes: 0, acceptsRanges: true))
      }
      guard head.status == 200 || head.status == 206 else { return .failure }
      do throws(MalformedHead) {
        return .value(try WebHead(head, method))
      } catch {
        return .malformed(error.detail)
      }
    }
    _ = loop.start(fetch, priority: .reader, deadline: deadline)
    return answer
  }
}

/// What a head says of an object.
private struct WebHead: Sendable {
  let sizeBytes: Int64
  let eTag: String
  let modifiedSeconds: Int64

  /// Nil where the reply does not tell.
  let acceptsRanges: Bool?

  init(_ head: ReplyHead, sizeBytes: Int64, acceptsRanges: Bool?) {
    self.sizeBytes = sizeBytes
    self.acceptsRanges = acceptsRanges
    modifiedSeconds = head["last-modified"].flatMap { CalendarTime(httpDate: $0) }?.seconds ?? 0
    eTag =
      head["etag"].flatMap { $0.isEmpty ? nil : $0 }
      ?? EntityTag.made(modifiedSeconds: modifiedSeconds, sizeBytes: sizeBytes)
  }

  /// Nil where the size is not told.
  init?(_ head: ReplyHead, _ method: HTTPRequest.Method) throws(MalformedHead) {
    let word = head["accept-ranges"]?.lowercased()
    var acceptsRanges = word == "bytes" ? true : word == "none" ? false : nil
    let size: Int64?
    if let text = head["content-range"] {
      guard let range = ContentRange(text) else {
        throw MalformedHead(detail: "an unusable Content-Range")
      }
      size = range.total
      acceptsRanges = true
    } else {
      size = try head.contentLength()
      if method == .get { acceptsRanges = false }
    }
    guard let size else { return nil }
    self.init(head, sizeBytes: size, acceptsRanges: acceptsRanges)
  }

  func object(_ key: ObjectKey, _ serverAcceptsRanges: Bool) -> ObjectInfo {
    ObjectInfo(
      key: key,
      sizeBytes: sizeBytes,
      eTag: eTag,
      modifiedSeconds: modifiedSeconds,
      acceptsRanges: acceptsRanges ?? serverAcceptsRanges
    )
  }
}

/// The names of a pattern, taken apart into the folder they share and the keys below it.
private struct WebNames {
  let base: WebURL
  private(set) var keys: [ObjectKey] = []

  /// What follows the `?` of a name; kept out of keys, since it may be a signature.
  private(set) var queries: [ObjectKey: String] = [:]

  init(_ urls: [[UInt8]]) throws(StoreError) {
    var parts: [(server: ServerAddress, path: [UInt8], query: String?)] = []
    for bytes in urls {
      guard let url = WebURL(bytes: bytes) else {
        let shown = PrintableName.text(bytes.prefix { $0 != UInt8(ascii: "?") })
        throw .invalid(
          "\(bytes.contains(UInt8(ascii: "@")) ? "a name" : shown) is no URL of the form "
            + "http(s)://host/name; a user name and a password cannot stand in it"
        )
      }
      parts.append((url.server, Array(url.path.utf8), url.query))
    }
    guard let first = parts.first else { throw .invalid("the pattern stands for no name") }
    if let other = parts.first(where: { $0.server != first.server }) {
      throw .invalid(
        "the names lie on \(first.server.origin) and on \(other.server.origin); "
          + "one mount reads from one server"
      )
    }
    var shared = first.path.prefix(through: first.path.lastIndex(of: UInt8(ascii: "/")) ?? 0)
    for part in parts where !part.path.starts(with: shared) {
      let equal = zip(shared, part.path).prefix { $0 == $1 }.count
      shared = shared.prefix(equal)
      shared = shared.prefix(through: shared.lastIndex(of: UInt8(ascii: "/")) ?? 0)
    }
    guard let base = WebURL(first.server.origin + String(decoding: shared, as: UTF8.self)) else {
      throw .invalid("the names of the pattern share no server")
    }
    self.base = base
    for part in parts {
      let key = ObjectKey(part.path.dropFirst(shared.count))
      keys.append(key)
      if let query = part.query { queries[key] = query }
    }
  }
}
