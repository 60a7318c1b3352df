import Logging
import Remote

/// A range GET with all its attempts: holds every reply to what was listed and asked for, and goes
/// on where a reply broke.
final class RangeFetch: Exchange {
  /// docs/reliability.md, S8: how far into an object we read to cut a range out of a whole reply.
  static let maxCutBytes: Int64 = 8 * 1024 * 1024

  /// docs/reliability.md, S2.
  private static let maxErrorBytes = 64 * 1024

  /// An honest reply with less than this is a server in trouble: no end of small requests.
  private static let leastPartBytes: Int64 = 16 * 1024

  /// The usual GET's size: what a reply without a length may cost in memory.
  ///
  /// A larger range is asked for in pieces then; an object without ranges that is larger and has no
  /// length either is handed on as it comes.
  private static let maxHeldBytes: Int64 = 8 * 1024 * 1024

  private enum Reply {
    case none

    /// Bytes of the object, once `skip` bytes are passed over, up to `end`.
    ///
    /// `isCut`: more than the wanted follows, and is not waited for. `isOpenEnded`: only the end of
    /// the reply shows that no byte too many follows.
    case data(skip: Int64, end: Int64, isCut: Bool, isOpenEnded: Bool)
    case failure(ReplyHead)
  }

  let what: String
  private let wanted: RangeRequest

  /// Let go with the answer, since whoever receives may hold the ticket that holds this.
  private var receiver: (any RangeReceiver)?
  private var route: RequestRoute
  private let endpointName: String
  private var reply = Reply.none
  private var errorBody: [UInt8] = []
  private var outcome: AttemptOutcome?

  /// The next byte to hand over.
  private var position: Int64
  private var attemptStart: Int64 = 0

  /// The bytes of an open-ended reply, until it has ended where it should: nothing else tells it
  /// from one that runs on with anything.
  private var held: [UInt8] = []

  /// Where the present attempt's range ends.
  private var askedEnd: Int64 = 0

  /// As it was sent; nil where the whole was asked for.
  private var askedRange: Range<Int64>?

  /// Of a whole object whose store says one, over what was handed on.
  private var checksum: ContentChecksum?
  private(set) var note: ReplyNote?
  private(set) var badReplyEvent = "s3.bad_reply"
  private var remarks: [Remark] = []

  /// The longest range to ask for; less than all once the server gave an open-ended reply.
  private var maxPieceBytes = Int64.max

  init(
    _ request: RangeRequest,
    into receiver: any RangeReceiver,
    from origin: any Origin,
    container: String
  ) {
    wanted = request
    self.receiver = receiver
    route = RequestRoute(origin)
    endpointName = origin.endpointName
    position = request.range.lowerBound
    what =
      "bytes \(request.range.lowerBound)..<\(request.range.upperBound) of "
      + "\(container)/\(request.object.key)"
  }

  var objectKey: ObjectKey? { object.key }
  var usefulBytes: Int64 { position - wanted.range.lowerBound }
  var maxBadReplies: Int? { nil }

  var logKeys: [(key: String, value: String)] {
    [
      ("shard", object.key.description), ("off", "\(wanted.range.lowerBound)"),
      ("len", "\(wanted.range.count)"),
    ]
  }

  func takeRemarks() -> [Remark] {
    defer { remarks = [] }
    return remarks + route.takeRemarks()
  }

  private var object: ObjectInfo { wanted.object }
  private var end: Int64 { wanted.range.upperBound }

  // MARK: - An attempt

  func begin() throws(StoreError) -> HTTPRequest? {
    reply = .none
    outcome = nil
    attemptStart = position
    held = []
    errorBody = []
    guard position < end else {
      answer(.success(()))
      return nil
    }
    let tag = EntityTag(object.eTag)
    askedEnd = object.acceptsRanges ? position + min(end - position, maxPieceBytes) : end
    let isWhole = position == 0 && askedEnd == object.sizeBytes
    askedRange = !object.acceptsRanges || isWhole ? nil : position..<askedEnd
    return try route.request(
      for: RequestTarget(
        key: object.key,
        range: askedRange,
        eTag: tag.isStrong ? tag.value : nil,
        wantsChecksum: isWhole,
        what: what
      )
    )
  }

  func received(head: ReplyHead) -> Bool {
    note = ReplyNote(head)
    badReplyEvent = "s3.bad_reply"
    switch head.status {
    case 200, 206:
      do throws(Refusal) {
        reply = try accept(head)
        if position == 0, end == object.sizeBytes { checksum = ContentChecksum(head) }
        return true
      } catch {
        outcome = error.outcome
        return false
      }
    case 412, 416:
      outcome = .hopeless(changed(found: "HTTP \(head.status)"))
      return false
    case 204..<300:
      outcome = .failed(.badReply, retryAfter: nil, detail: "HTTP \(head.status)")
      return false
    default:
      reply = .failure(head)
      return true
    }
  }

  func received(body: UnsafeRawBufferPointer) -> ReceiverVerdict {
    switch reply {
    case .none: return .stop
    case .failure:
      errorBody.append(contentsOf: body.prefix(Self.maxErrorBytes - errorBody.count))
      return errorBody.count < Self.maxErrorBytes ? .more : .stop
    case .data(let skip, let replyEnd, let isCut, let isOpenEnded):
      let passed = Int(min(skip, Int64(body.count)))
      if passed > 0 {
        reply = .data(
          skip: skip - Int64(passed),
          end: replyEnd,
          isCut: isCut,
          isOpenEnded: isOpenEnded
        )
      }
      let rest = UnsafeRawBufferPointer(rebasing: body[passed...])
      if rest.isEmpty { return .more }
      let verdict = hand(rest, upTo: replyEnd, isCut: isCut, isOpenEnded: isOpenEnded)
      if verdict == .pause, passed > 0 {
        // The whole block comes again.
        reply = .data(skip: skip, end: replyEnd, isCut: isCut, isOpenEnded: isOpenEnded)
      }
      return verdict
    }
  }

  private func hand(
    _ bytes: UnsafeRawBufferPointer,
    upTo replyEnd: Int64,
    isCut: Bool,
    isOpenEnded: Bool
  ) -> ReceiverVerdict {
    let left = replyEnd - position
    guard Int64(bytes.count) <= left - Int64(held.count) || isCut else {
      outcome = .failed(.badReply, retryAfter: nil, detail: "more bytes than were asked for")
      return .stop
    }
    if isOpenEnded, !isCut, left <= Self.maxHeldBytes {
      held.append(contentsOf: bytes)
      return .more
    }
    let count = Int(min(left, Int64(bytes.count)))
    let isLast = Int64(count) == left
    if count > 0 {
      let block = UnsafeRawBufferPointer(rebasing: bytes[..<count])
      switch receiver?.receive(block) ?? .stop {
      case .more:
        position += Int64(count)
        checksum?.update(block)
      case .pause: return .pause
      case .stop:
        outcome = .hopeless(.cancelled)
        return .stop
      }
    }
    // What follows is not wanted: the connection is dropped.
    return isCut && isLast ? .stop : .more
  }

  func ended(_ end: AttemptEnd) -> AttemptOutcome {
    if let outcome { return outcome }
    switch (end, reply) {
    case (.completed, .data(_, let replyEnd, _, _)):
      return completed(replyEnd)
    case (.rejected, .data) where position == self.end:
      return finished()
    case (.completed, .failure(let head)), (.rejected, .failure(let head)),
      (.broken, .failure(let head)), (.stalled, .failure(let head)):
      defer { note = route.note }
      return route.outcome(
        of: FailedReply(head: head, body: errorBody),
        to: RequestTarget(key: object.key, what: what)
      )
    case (.completed, .none), (.rejected, _):
      return .failed(.badReply, retryAfter: nil, detail: "no usable reply")
    case (.broken(let text), _): return .failed(.reset, retryAfter: nil, detail: text)
    case (.stalled(let text), _): return .failed(.transient, retryAfter: nil, detail: text)
    case (.unresolved(let text), _), (.noConnection(let text), _):
      return .failed(.transient, retryAfter: nil, detail: text)
    case (.untrusted(let text), _):
      return .hopeless(.unreachable(endpoint: endpointName, detail: text))
    case (.malformed(let text), _): return .failed(.badReply, retryAfter: nil, detail: text)
    }
  }

  private func completed(_ replyEnd: Int64) -> AttemptOutcome {
    if !held.isEmpty, Int64(held.count) == replyEnd - position {
      switch held.withUnsafeBytes({ receiver?.receive($0) ?? .stop }) {
      case .more:
        position += Int64(held.count)
        held.withUnsafeBytes { checksum?.update($0) }
        held = []
      case .pause: return .parked
      case .stop: return .hopeless(.cancelled)
      }
    }
    if position == end { return finished() }
    // An honest reply with a part of the range: the rest is asked for (docs/reliability.md, S11).
    if position == replyEnd {
      return position - attemptStart >= Self.leastPartBytes
        ? .again : .failed(.transient, retryAfter: nil, detail: "only a few bytes came")
    }
    return .failed(.reset, retryAfter: nil, detail: "the body ended early")
  }

  private func finished() -> AttemptOutcome {
    if let checksum, !checksum.isRight {
      // The bytes are out of our hands: whoever got them throws them away, and asks again.
      let detail = "the bytes do not have the \(checksum.name) that the store says"
      remarks.append(Remark(level: .warning, event: "s3.checksum", text: detail))
      return .hopeless(.badReply(what: what, detail: detail))
    }
    answer(.success(()))
    return .finished
  }

  func finish(_ failure: StoreError) {
    answer(.failure(failure))
  }

  private func answer(_ result: Result<Void, StoreError>) {
    let receiver = self.receiver.take()
    receiver?.finish(result)
  }
}

// MARK: - Holding a reply to its word

extension RangeFetch {
  private struct Refusal: Error {
    let outcome: AttemptOutcome

    static func badReply(_ detail: String) -> Refusal {
      Refusal(outcome: .failed(.badReply, retryAfter: nil, detail: detail))
    }
  }

  /// Says what a reply's body will be, or why it is not taken.
  private func accept(_ head: ReplyHead) throws(Refusal) -> Reply {
    if let encoding = head["content-encoding"], encoding.lowercased() != "identity",
      !encoding.isEmpty
    {
      throw .badReply("an encoded body (\(PrintableName.text(encoding.utf8)))")
    }
    if head["content-type"]?.lowercased().hasPrefix("multipart/") ?? false {
      throw .badReply("a body of several parts")
    }
    let isSame = try checkTag(head)
    let length: Int64?
    do throws(MalformedHead) {
      length = try head.contentLength()
    } catch {
      throw .badReply(error.detail)
    }
    if let text = head["content-range"] {
      return try accept(range: text, length, isSame: isSame)
    }
    guard head.status == 200 else {
      badReplyEvent = "s3.bad_range"
      throw .badReply("a part without Content-Range")
    }
    if let length, length != object.sizeBytes { throw otherSize(length, isSame: isSame) }
    guard position == 0 || !object.acceptsRanges || wanted.range.lowerBound <= Self.maxCutBytes
    else {
      throw Refusal(outcome: .hopeless(.rangesUnsupported(key: object.key)))
    }
    if askedRange != nil {
      let text = "the server gives the whole for a part; what is wanted is cut out"
      remarks.append(Remark(level: .info, event: "s3.range_ignored", text: text))
    }
    return .data(
      skip: position,
      end: end,
      isCut: end < object.sizeBytes,
      isOpenEnded: length == nil
    )
  }

  private func accept(
    range text: String,
    _ length: Int64?,
    isSame: Bool
  ) throws(Refusal) -> Reply {
    badReplyEvent = "s3.bad_range"
    guard let found = ContentRange(text) else {
      throw .badReply("Content-Range '\(PrintableName.text(text.utf8))'")
    }
    if let total = found.total, total != object.sizeBytes { throw otherSize(total, isSame: isSame) }
    guard found.range.lowerBound == position, found.range.upperBound <= askedEnd else {
      throw .badReply(
        "bytes \(found.range.lowerBound)..<\(found.range.upperBound) instead of "
          + "\(position)..<\(askedEnd)"
      )
    }
    if let length, length != Int64(found.range.count) {
      throw .badReply("Content-Length \(length) for \(found.range.count) bytes")
    }
    if length == nil {
      guard found.range.count <= Self.maxHeldBytes else {
        maxPieceBytes = Self.maxHeldBytes
        throw Refusal(outcome: .again)
      }
      held.reserveCapacity(found.range.count)
    }
    return .data(
      skip: 0,
      end: found.range.upperBound,
      isCut: false,
      isOpenEnded: length == nil
    )
  }

  /// Compares ETags; without one in the reply, the times of change.
  ///
  /// - Returns: Whether the reply has vouched for being the listed object.
  private func checkTag(_ head: ReplyHead) throws(Refusal) -> Bool {
    let listed = EntityTag(object.eTag)
    if let text = head["etag"], !text.isEmpty, !listed.isMade, !object.eTag.isEmpty {
      guard EntityTag(text).value == listed.value else {
        throw Refusal(outcome: .hopeless(changed(found: PrintableName.text(text.utf8))))
      }
      return true
    }
    if !object.eTag.isEmpty, !listed.isMade {
      let text = "a reply has no ETag; its time and size stand in for it from now on"
      remarks.append(Remark(level: .warning, event: "s3.no_etag", text: text, isOnce: true))
    }
    if object.modifiedSeconds != 0, let text = head["last-modified"],
      let found = CalendarTime(httpDate: text)
    {
      guard found.seconds == object.modifiedSeconds else {
        throw Refusal(outcome: .hopeless(changed(found: "changed " + text)))
      }
      return true
    }
    return false
  }

  /// Another size under the same ETag is a server's slip; else it is another object.
  private func otherSize(_ size: Int64, isSame: Bool) -> Refusal {
    isSame
      ? .badReply("a size of \(size) bytes instead of \(object.sizeBytes)")
      : Refusal(outcome: .hopeless(changed(found: "\(size) bytes")))
  }

  private func changed(found: String) -> StoreError {
    .objectChanged(
      key: object.key,
      listed: object.eTag.isEmpty ? "\(object.sizeBytes) bytes" : object.eTag,
      found: found
    )
  }
}
