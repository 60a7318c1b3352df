package import Logging
package import Remote

/// The store over an S3 bucket.
package final class S3ObjectStore: ObjectStore {
  /// FAULTS.md, S27.
  static let maxKeys = 10_000_000

  /// S3 may send some where keys were deleted; a server that sends no others never ends.
  private static let maxEmptyPages = 100

  package let displayName: String
  package var identity: String { origin.identity }
  let origin: S3Origin
  private let prefix: [UInt8]
  let loop: TransferLoop
  private let listTimeout: Duration
  private let logger: Logger
  private let container: String

  /// Finds endpoint, region and credentials, and starts the store's thread.
  ///
  /// May block while a source of credentials is asked; the store itself is sent nothing yet.
  ///
  /// - Parameters:
  ///   - bucket: Its name.
  ///   - prefix: What every key below the remote begins with: empty, or ending in a slash.
  ///   - options: What the user says.
  ///   - generator: Makes the jitter of the retries.
  ///   - logger: Gets the events; no secret ever.
  /// - Throws: `StoreError.invalid` and `.credentials`.
  package init(
    bucket: String,
    prefix: [UInt8],
    options: S3Options,
    generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
    logger: Logger
  ) throws(StoreError) {
    let settings = try S3Settings(bucket: bucket, options: options, logger: logger)
    origin = S3Origin(bucket: bucket, settings: settings)
    self.prefix = prefix
    container = "s3://\(bucket)"
    displayName = RemoteAddress.s3(bucket: bucket, prefix: prefix).displayName
    listTimeout = options.listTimeout
    self.logger = logger
    var transfers = options.transfers
    if transfers.trust == .system, let path = settings.caBundle {
      transfers.trust = .bundle(path: path)
    }
    try transfers.check(origin.server, logger)
    loop = TransferLoop(
      options: transfers,
      endpoint: origin.endpointName,
      generator: generator,
      logger: logger
    )
  }

  package func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    var token: String?
    var keyCount = 0
    var oddEntries = 0
    var emptyPages = 0
    repeat {
      let found = try self.page(after: token)
      keyCount += found.objects.count
      oddEntries += found.oddEntries
      guard keyCount <= Self.maxKeys else {
        throw .badReply(
          what: "listing \(displayName)",
          detail: "more than \(Self.maxKeys) keys; name a prefix that holds fewer"
        )
      }
      try page(found.objects)
      guard found.isTruncated else { break }
      guard let next = found.nextToken, next != token else {
        throw .badReply(
          what: "listing \(displayName)",
          detail: found.nextToken == nil
            ? "there is more to list and no way to ask for it" : "the same page comes again"
        )
      }
      emptyPages = found.objects.isEmpty && found.oddEntries == 0 ? emptyPages + 1 : 0
      guard emptyPages <= Self.maxEmptyPages else {
        throw .badReply(what: "listing \(displayName)", detail: "one empty page after another")
      }
      token = next
    } while true
    if oddEntries > 0 {
      logger.warning(
        "\(oddEntries) entries of the listing have no usable key or size and are left out",
        metadata: ["event": "list.bad_entry", "count": "\(oddEntries)"]
      )
    }
  }

  private func page(after token: String?) throws(StoreError) -> ListPage {
    var query = [
      (name: "list-type", value: "2"), (name: "encoding-type", value: "url"),
      (name: "max-keys", value: "1000"),
    ]
    // A prefix of bytes that are no UTF-8 cannot be asked for as text, so it is left out here.
    if let text = String(validating: prefix, as: UTF8.self), !text.isEmpty {
      query.append(("prefix", text))
    }
    if let token { query.append(("continuation-token", token)) }
    let answer = Answer<ListPage>()
    let target = RequestTarget(query: query, what: "listing \(displayName)")
    let fetch = BodyFetch(target, maxBytes: ListPage.maxBytes, from: origin, answer: answer) {
      head,
      body in
      guard head.status == 200 else { return .failure }
      do throws(XMLPullParser.Malformed) {
        return .value(try ListPage(body))
      } catch {
        return .malformed("no usable listing: \(error.detail), at byte \(error.offset)")
      }
    }
    let ticket = loop.start(fetch, priority: .reader, deadline: .now + listTimeout)
    defer { ticket.cancel() }
    return try answer.wait()
  }

  package func fetch(
    _ request: RangeRequest,
    into receiver: any RangeReceiver
  ) -> any FetchTicket {
    loop.start(
      RangeFetch(request, into: receiver, from: origin, container: container),
      priority: request.priority
    )
  }

  /// Whose credentials sign the requests and until when, for messages; nil where none do.
  package var credentialsText: String? { origin.credentialsText }

  package var statistics: StoreStatistics { loop.statistics }
  package var requestTimes: RequestTimes { loop.requestTimes }

  package func shutDown() {
    loop.shutDown()
  }
}
