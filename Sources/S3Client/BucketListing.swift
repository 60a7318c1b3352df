import Logging
import Remote
import Synchronization

/// Lists what lies below a prefix of a bucket: several pages at a time where the store allows it,
/// else one after the other.
struct BucketListing {
  /// docs/reliability.md, S27.
  static let maxKeys = 10_000_000

  /// docs/reliability.md, S26.
  static let maxTries = 3

  /// S3 may send some where keys were deleted; a server that sends no others never ends.
  private static let maxEmptyPages = 100

  let origin: S3Origin
  let prefix: [UInt8]
  let displayName: String
  let loop: TransferLoop

  /// For each page.
  let timeout: Duration
  let logger: Logger

  private var what: String { "listing \(displayName)" }

  func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    let first = try self.page(["max-keys": "1000"])
    if first.isTruncated, let plan = try sections(after: first) {
      for objects in plan.pages { try page(objects) }
      tell(oddEntries: plan.oddEntries)
    } else {
      try walk(from: first, onPage: page)
    }
  }

  // MARK: - One page after the other

  private func walk(
    from first: ListPage,
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    var found = first
    var token: String?
    var keyCount = 0
    var oddEntries = 0
    var emptyPages = 0
    while true {
      keyCount += found.objects.count
      oddEntries += found.oddEntries
      try checkCount(keyCount)
      try page(found.objects)
      guard found.isTruncated else { break }
      guard let next = found.nextToken else {
        throw loops("there is more to list and no way to ask for it")
      }
      guard next != token else { throw loops("the same page comes again") }
      emptyPages = found.objects.isEmpty && found.oddEntries == 0 ? emptyPages + 1 : 0
      guard emptyPages <= Self.maxEmptyPages else { throw loops("one empty page after another") }
      token = next
      found = try self.page(["max-keys": "1000", "continuation-token": next])
    }
    tell(oddEntries: oddEntries)
  }

  private func checkCount(_ keyCount: Int) throws(StoreError) {
    guard keyCount <= Self.maxKeys else {
      throw loops("more than \(Self.maxKeys) keys; name a prefix that holds fewer")
    }
  }

  private func loops(_ detail: String) -> StoreError {
    logger.debug("\(what): \(detail)", metadata: ["event": "list.loop"])
    return .endlessListing(what: what, detail: detail)
  }

  private func tell(oddEntries: Int) {
    guard oddEntries > 0 else { return }
    logger.warning(
      "\(oddEntries) entries of the listing have no usable key or size and are left out",
      metadata: ["event": "list.bad_entry", "count": "\(oddEntries)"]
    )
  }

  // MARK: - Several pages at a time

  /// Reads the rest in sections.
  ///
  /// - Returns: Nil where the store does not sort, or not begin where it is asked to: then nothing
  ///   that was found counts.
  private func sections(after first: ListPage) throws(StoreError) -> ListPlan? {
    var plan = ListPlan(first, maxAsked: loop.options.maxConnections)
    guard plan.isSplit else { return nil }
    let answers = AnswerQueue<ListPage>()
    var tickets: [Int: any FetchTicket] = [:]
    defer { for ticket in tickets.values { ticket.cancel() } }
    while !plan.isComplete, !plan.isContradicted {
      while let question = plan.nextQuestion() {
        var query = ["max-keys": "1000"]
        if let token = question.token {
          query["continuation-token"] = token
        } else {
          query["start-after"] = String(decoding: question.after, as: UTF8.self)
        }
        tickets[question.section] = ask(query) { answers.give($0, number: question.section) }
      }
      let (section, result) = answers.next()
      tickets[section] = nil
      plan.take(try result.get(), for: section)
      try checkCount(plan.keyCount)
    }
    guard plan.isContradicted else { return plan }
    logger.debug(
      "the pages of the listing do not fit together; they are asked for one after the other",
      metadata: ["event": "list.sequential"]
    )
    return nil
  }

  // MARK: - A page

  private func page(_ query: [String: String]) throws(StoreError) -> ListPage {
    let answer = Answer<ListPage>()
    let ticket = ask(query) { answer.give($0) }
    defer { ticket.cancel() }
    return try answer.wait()
  }

  private func ask(
    _ more: [String: String],
    answer: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
  ) -> any FetchTicket {
    var query = [(name: "list-type", value: "2"), (name: "encoding-type", value: "url")]
    // A prefix of bytes that are no UTF-8 cannot be asked for as text, so it is left out here.
    if let text = String(validating: prefix, as: UTF8.self), !text.isEmpty {
      query.append(("prefix", text))
    }
    query += more.map { ($0.key, $0.value) }
    let fetch = BodyFetch(
      RequestTarget(query: query, what: what),
      maxBytes: ListPage.maxBytes,
      from: origin,
      answer: answer
    ) { head, body in
      guard head.status == 200 else { return .failure }
      do throws(XMLPullParser.Malformed) {
        return .value(try ListPage(body))
      } catch {
        return .malformed("no usable listing: \(error.detail), at byte \(error.offset)")
      }
    }
    fetch.maxBadReplies = Self.maxTries - 1
    fetch.badReplyEvent = "list.malformed"
    return loop.start(fetch, priority: .reader, deadline: .now + timeout)
  }
}

/// The answers to several questions, in the order in which they come.
private final class AnswerQueue<Value: Sendable>: Sendable {
  private let answers = Mutex<[(Int, Result<Value, StoreError>)]>([])
  private let signal = ReadySignal()

  func give(_ result: Result<Value, StoreError>, number: Int) {
    answers.withLock { $0.append((number, result)) }
    signal.signal()
  }

  /// Blocks until there is one.
  func next() -> (Int, Result<Value, StoreError>) {
    while true {
      signal.wait()
      if let first = answers.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return first }
    }
  }
}
