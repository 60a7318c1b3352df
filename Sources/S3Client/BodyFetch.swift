import Remote

/// A request for something small, with all its attempts: a listing's page, a head.
final class BodyFetch<Value: Sendable>: Exchange {
  let what: String
  private let target: RequestTarget
  private let maxBytes: Int
  private let read: @Sendable (ReplyHead, [UInt8]) -> Reading
  private let answer: @Sendable (Result<Value, StoreError>) -> Void
  private let endpointName: String
  var maxBadReplies: Int?
  var badReplyEvent = "s3.bad_reply"
  private(set) var note: ReplyNote?
  private var route: RequestRoute
  private var head: ReplyHead?
  private var body: [UInt8] = []
  private var isTooLarge = false

  /// What is made of a whole reply.
  enum Reading {
    case value(Value)

    /// The reply makes no sense; it is asked for again, a few times.
    case malformed(String)

    /// No such reply as was hoped for: the origin says what it means.
    case failure
  }

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - target: What is asked for.
  ///   - maxBytes: Of the body; 0: only the head counts, the body is not waited for.
  ///   - origin: Who is asked.
  ///   - answer: Gets the value or the error, once.
  ///   - read: Makes the value; runs on the loop's thread.
  init(
    _ target: RequestTarget,
    maxBytes: Int,
    from origin: any Origin,
    answer: @escaping @Sendable (Result<Value, StoreError>) -> Void,
    read: @escaping @Sendable (ReplyHead, [UInt8]) -> Reading
  ) {
    what = target.what
    self.target = target
    self.maxBytes = maxBytes
    self.answer = answer
    self.read = read
    endpointName = origin.endpointName
    route = RequestRoute(origin)
  }

  var objectKey: ObjectKey? { nil }
  var usefulBytes: Int64 { 0 }
  var logKeys: [(key: String, value: String)] { [] }

  func takeRemarks() -> [Remark] { route.takeRemarks() }

  func begin() throws(StoreError) -> HTTPRequest? {
    head = nil
    body = []
    isTooLarge = false
    return try route.request(for: target)
  }

  func received(head: ReplyHead) -> Bool {
    self.head = head
    note = ReplyNote(head)
    return maxBytes > 0 || target.method == .head || head.status >= 300
  }

  func received(body bytes: UnsafeRawBufferPointer) -> ReceiverVerdict {
    guard bytes.count <= max(maxBytes, 64 * 1024) - body.count else {
      isTooLarge = true
      return .stop
    }
    body.append(contentsOf: bytes)
    return .more
  }

  func ended(_ end: AttemptEnd) -> AttemptOutcome {
    switch end {
    case .completed: return whole()
    case .rejected:
      return isTooLarge
        ? .failed(.badReply, retryAfter: nil, detail: "the reply is too long") : whole()
    case .broken(let text): return .failed(.reset, retryAfter: nil, detail: text)
    case .stalled(let text), .unresolved(let text), .noConnection(let text):
      return .failed(.transient, retryAfter: nil, detail: text)
    case .untrusted(let text):
      return .hopeless(.unreachable(endpoint: endpointName, detail: text))
    case .malformed(let text): return .failed(.badReply, retryAfter: nil, detail: text)
    }
  }

  private func whole() -> AttemptOutcome {
    guard let head else { return .failed(.badReply, retryAfter: nil, detail: "no reply") }
    switch read(head, body) {
    case .value(let value):
      answer(.success(value))
      return .finished
    case .malformed(let detail): return .failed(.badReply, retryAfter: nil, detail: detail)
    case .failure:
      let reply = FailedReply(head: head, body: Array(body.prefix(64 * 1024)))
      defer { note = route.note ?? note }
      return route.outcome(of: reply, to: target)
    }
  }

  func finish(_ failure: StoreError) {
    answer(.failure(failure))
  }
}
