import Logging
import Remote

/// What differs between an S3 endpoint and a plain web server.
protocol Origin: AnyObject, Sendable {
  /// For messages.
  var endpointName: String { get }

  /// Makes a request, signed where requests are.
  ///
  /// - Parameters:
  ///   - target: What is asked for.
  ///   - redirect: Where a reply sent us; nil: the usual place.
  /// - Returns: The request; its headers may hold secrets.
  /// - Throws: Where no request can be made at all.
  func request(
    for target: RequestTarget,
    at redirect: WebURL?
  ) throws(StoreError) -> HTTPRequest

  /// Says what follows a reply that is neither data nor a redirect.
  func verdict(on reply: FailedReply, to target: RequestTarget) -> ReplyVerdict

  /// Whether a redirect may be followed, the n-th of a request (from 1).
  func mayFollow(_ redirect: WebURL, number: Int) -> Bool
}

/// A reply without the data that was asked for.
struct FailedReply {
  let head: ReplyHead

  /// At most 64 KiB of it.
  let body: [UInt8]

  /// Who signed the request, and when.
  var signing: HTTPRequest.Signing?
}

/// What a reply without data means.
enum ReplyVerdict {
  case failed(RetryCause, detail: String)
  case hopeless(StoreError)

  /// The origin has learnt how to ask better.
  case again

  /// So it has, and it is worth a word, for example another region.
  case learnt(Remark)

  /// The origin finds out how to ask better; the error stands where a request has learnt before.
  case later(Lesson, otherwise: StoreError)
}

/// Something that takes its time and after which a request may be sent again.
///
/// Gets called once; calls back once, at once or later on any thread, with nil where the request is
/// worth another attempt, else with its error.
typealias Lesson = @Sendable (_ learnt: @escaping @Sendable (StoreError?) -> Void) -> Void

/// The place where one request's attempts go: the origin's own, or where redirects lead.
struct RequestRoute {
  /// Redirects aside: how often an origin may learn something new for one request.
  private static let maxLessons = 3

  private let origin: any Origin
  private var redirect: WebURL?
  private var redirects = 0
  private var lessons = 0
  private var hasWaited = false
  private var lastURL = ""
  private var lastSigning: HTTPRequest.Signing?
  private var remarks: [Remark] = []

  /// The last reply that was no data.
  private(set) var note: ReplyNote?

  init(_ origin: any Origin) {
    self.origin = origin
  }

  mutating func request(for target: RequestTarget) throws(StoreError) -> HTTPRequest {
    let request = try origin.request(for: target, at: redirect)
    lastURL = request.url
    lastSigning = request.signing
    return request
  }

  /// Starts from the origin's own place again, as for a new attempt after a failure.
  mutating func reset() {
    redirect = nil
  }

  mutating func outcome(of reply: FailedReply, to target: RequestTarget) -> AttemptOutcome {
    note = ReplyNote(reply.head, code: ErrorBody(reply.body).code)
    if reply.head.status == 407 {
      let detail = "the proxy lets nobody through: HTTP 407"
      return .hopeless(.unreachable(endpoint: origin.endpointName, detail: detail))
    }
    if [301, 302, 303, 307, 308].contains(reply.head.status),
      reply.head["x-amz-bucket-region"] == nil, let location = reply.head["location"]
    {
      return follow(location, target)
    }
    var reply = reply
    reply.signing = lastSigning
    switch origin.verdict(on: reply, to: target) {
    case .failed(let cause, let detail):
      reset()
      return .failed(cause, retryAfter: reply.head.retryAfter, detail: detail)
    case .hopeless(let error): return .hopeless(error)
    case .later(let lesson, let error):
      // docs/reliability.md, S21: one retry for each request.
      if hasWaited { return .hopeless(error) }
      hasWaited = true
      reset()
      return .later(lesson)
    case .again: return again(after: reply.head, target)
    case .learnt(let remark):
      remarks.append(remark)
      return again(after: reply.head, target)
    }
  }

  mutating func takeRemarks() -> [Remark] {
    defer { remarks = [] }
    return remarks
  }

  private mutating func again(after head: ReplyHead, _ target: RequestTarget) -> AttemptOutcome {
    lessons += 1
    reset()
    guard lessons <= Self.maxLessons else {
      return .hopeless(
        .refused(what: target.what, code: "HTTP \(head.status)", detail: "again and again")
      )
    }
    return .again
  }

  private mutating func follow(_ location: String, _ target: RequestTarget) -> AttemptOutcome {
    redirects += 1
    guard let url = WebURL(lastURL)?.resolving(location),
      origin.mayFollow(url, number: redirects)
    else {
      let host = WebURL(lastURL)?.resolving(location)?.server.authority ?? "nowhere"
      let shown = PrintableName.text(host.utf8)
      let text = "redirect refused: the server sends us on to \(shown)"
      remarks.append(Remark(level: .warning, event: "s3.redirect", text: text))
      return .hopeless(.badReply(what: target.what, detail: text))
    }
    redirect = url
    let host = PrintableName.text(url.server.authority.utf8)
    remarks.append(Remark(level: .info, event: "s3.redirect", text: "sent on to \(host)"))
    return .again
  }
}

extension WebURL {
  /// The URL that a Location header means.
  func resolving(_ location: String) -> WebURL? {
    if let absolute = WebURL(location) { return absolute }
    if location.hasPrefix("//") {
      return WebURL((server.isSecure ? "https:" : "http:") + location)
    }
    if location.hasPrefix("/") { return WebURL(server.origin + location) }
    guard !location.contains("://"), let slash = path.lastIndex(of: "/") else { return nil }
    return WebURL(server.origin + path[...slash] + location)
  }
}
