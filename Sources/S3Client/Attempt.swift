import CCurl
import Instruments
import Remote

/// One attempt of a transfer: a libcurl handle, and what libcurl calls back.
///
/// Registered with its handle as an unretained context: the loop keeps it until the handle is out
/// of the multi handle and freed.
final class Attempt {
  let transfer: Transfer
  private(set) var handle: EasyHandle
  private(set) var isPaused = false
  private(set) var wasPaused = false
  private(set) var isHeadComplete = false
  private(set) var isRejected = false
  private(set) var isHeadTooLarge = false
  private(set) var receivedBytes = 0

  /// How long the reply's head took to come.
  private(set) var headWait: Duration?

  /// The longest time so far between two pieces of the body, or before the first; pauses apart.
  private(set) var longestSilence: Duration = .zero
  let sentAt: ContinuousClock.Instant
  private(set) var speed: SpeedWatch

  /// Waits for the budget of `--bwlimit`, not for its receiver.
  private(set) var isHeldBack = false
  private let budget: ReceiveBudget?

  /// Kept as long as the handle, which sends straight from it.
  private let body: ObjectContent?
  let headDeadline: ContinuousClock.Instant
  let startedAt = MonotonicTime.now

  /// From the start to the reply's head.
  private(set) var headNanoseconds: Int?

  /// When the last byte of the body came, or its head, or when it went on after a pause.
  private(set) var lastByteAt: ContinuousClock.Instant
  private var head: [UInt8] = []
  private var headBytes = 0

  init?(
    _ transfer: Transfer,
    request: HTTPRequest,
    options: TransferOptions,
    budget: ReceiveBudget?,
    freshSince: ContinuousClock.Instant?
  ) {
    guard let handle = EasyHandle() else { return nil }
    let now = ContinuousClock.now
    self.transfer = transfer
    self.handle = handle
    self.budget = budget
    sentAt = now
    body = request.body
    // The last attempt ends with the range's own time, or a second later.
    let since = transfer.retry.totalAttempts == 0 ? now : transfer.retry.since
    let end = max(since + options.retry.timeout, now + .seconds(1))
    let headTime = min(options.headTimeout, end - now)
    headDeadline = now + headTime + Self.sendingTime(of: request.body)
    lastByteAt = now
    speed = SpeedWatch(
      window: options.stallTime,
      leastBytesPerSecond: options.leastBytesPerSecond,
      startingAt: now
    )
    configure(request, options)
    if let freshSince { avoidConnections(before: freshSince, at: now) }
  }

  /// Uses no connection, and no address, from before an instant.
  private func avoidConnections(
    before instant: ContinuousClock.Instant,
    at now: ContinuousClock.Instant
  ) {
    let age = (now - instant).inSeconds
    guard age < 3600 else { return }
    handle.set(CURLOPT_MAXLIFETIME_CONN, max(1, Int(age)))
    handle.set(CURLOPT_DNS_CACHE_TIMEOUT, min(60, Int(age)))
  }

  private func configure(_ request: HTTPRequest, _ options: TransferOptions) {
    handle.set(CURLOPT_URL, request.url)
    handle.set(CURLOPT_PROTOCOLS_STR, "http,https")
    handle.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    handle.set(CURLOPT_HTTP09_ALLOWED, 0)
    handle.set(options.trust)
    options.proxies.apply(to: handle, url: request.url)
    handle.set(CURLOPT_NOSIGNAL, 1)
    handle.set(CURLOPT_FOLLOWLOCATION, 0)
    handle.set(CURLOPT_PATH_AS_IS, 1)
    handle.set(CURLOPT_TCP_KEEPALIVE, 1)
    handle.set(CURLOPT_HTTP_CONTENT_DECODING, 0)
    // The best of 16 KiB to 2 MiB in our measurements. With a limit on the
    // rate, one block is a twentieth of a second's at most.
    let blockBytes = min(512 * 1024, (options.maxBytesPerSecond ?? .max) / 20)
    handle.set(CURLOPT_BUFFERSIZE, Int(max(16 * 1024, blockBytes)))
    handle.set(CURLOPT_CONNECTTIMEOUT_MS, options.connectTimeout.wholeMilliseconds)
    if request.method == .head { handle.set(CURLOPT_NOBODY, 1) }
    if let body { send(body) }
    handle.set(
      headers: request.headers.map { "\($0.name): \($0.value)" }
        + ["User-Agent: wdsfs", "Accept-Encoding: identity", "Accept:", "Expect:"]
    )
    let context = Unmanaged.passUnretained(self).toOpaque()
    handle.set(CURLOPT_PRIVATE, context)
    handle.set(CURLOPT_HEADERDATA, context)
    handle.set(CURLOPT_WRITEDATA, context)
    handle.set(CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      guard let context, let bytes else { return 0 }
      let attempt = Unmanaged<Attempt>.fromOpaque(context).takeUnretainedValue()
      let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
      return attempt.receive(headerLine: line) ? line.count : 0
    }
    handle.set(CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      guard let context, let bytes else { return 0 }
      let attempt = Unmanaged<Attempt>.fromOpaque(context).takeUnretainedValue()
      return attempt.receive(body: UnsafeRawBufferPointer(start: bytes, count: size * count))
    }
  }

  /// The least that an upload must make, and how long it may stand still: a store takes its time for
  /// what it was sent.
  private static let leastSentPerSecond = 16 * 1024
  private static let maxSilenceSeconds = 60

  private static func sendingTime(of body: ObjectContent?) -> Duration {
    guard let body else { return .zero }
    return .seconds(maxSilenceSeconds + body.bytes.count / leastSentPerSecond)
  }

  /// Has the handle send a body straight from where it lies.
  private func send(_ body: ObjectContent) {
    handle.set(CURLOPT_CUSTOMREQUEST, "PUT")
    handle.set(CURLOPT_POSTFIELDSIZE, body.bytes.count)
    handle.set(CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: body.bytes.baseAddress))
    handle.set(CURLOPT_LOW_SPEED_LIMIT, Self.leastSentPerSecond)
    handle.set(CURLOPT_LOW_SPEED_TIME, Self.maxSilenceSeconds)
  }

  // MARK: - What libcurl calls

  private func receive(headerLine line: UnsafeRawBufferPointer) -> Bool {
    headBytes += line.count
    guard headBytes <= ReplyHead.maxBytes else {
      isHeadTooLarge = true
      return false
    }
    // What follows the body of a chunked reply.
    if isHeadComplete { return true }
    if line.starts(with: "HTTP/".utf8) { head.removeAll(keepingCapacity: true) }
    head.append(contentsOf: line)
    guard line.count <= 2, line.allSatisfy({ $0 == 13 || $0 == 10 }) else { return true }
    guard let reply = ReplyHead(head) else {
      isHeadTooLarge = true
      return false
    }
    if reply.status < 200 { return true }
    guard transfer.claim(for: self) else { return false }
    isHeadComplete = true
    headNanoseconds = startedAt.nanosecondsToNow
    let now = ContinuousClock.now
    headWait = now - sentAt
    lastByteAt = now
    speed.restart(at: now)
    isRejected = !transfer.exchange.received(head: reply)
    return !isRejected
  }

  private func receive(body: UnsafeRawBufferPointer) -> Int {
    if isRejected { return 0 }
    if let budget, budget.wait(at: .now) > .zero {
      isHeldBack = true
      isPaused = true
      return Int(CURL_WRITEFUNC_PAUSE)
    }
    switch transfer.exchange.received(body: body) {
    case .more:
      receivedBytes += body.count
      budget?.spend(body.count)
      speed.received(body.count)
      let now = ContinuousClock.now
      longestSilence = max(longestSilence, now - lastByteAt)
      lastByteAt = now
      return body.count
    case .pause:
      isPaused = true
      return Int(CURL_WRITEFUNC_PAUSE)
    case .stop:
      isRejected = true
      return 0
    }
  }

  // MARK: - What the loop asks

  /// Lets a paused body go on.
  ///
  /// Calls `curl_easy_pause`, which may call back at once.
  func resume() {
    guard isPaused else { return }
    isPaused = false
    isHeldBack = false
    wasPaused = true
    lastByteAt = .now
    speed.restart(at: .now)
    curl_easy_pause(handle.raw, CURLPAUSE_CONT)
  }

  /// What has taken too long, if anything.
  func overdue(at now: ContinuousClock.Instant) -> AttemptEnd? {
    if isPaused { return nil }
    if !isHeadComplete { return now >= headDeadline ? .stalled("no reply in time") : nil }
    return speed.isTooSlow(at: now) ? .stalled("the body stalled") : nil
  }

  /// How long the body has brought nothing; nil before its head, and while we pause it.
  func silence(at now: ContinuousClock.Instant) -> Duration? {
    isHeadComplete && !isPaused ? now - lastByteAt : nil
  }

  /// How the attempt ended, by libcurl's result.
  func end(_ result: CURLcode) -> AttemptEnd {
    if isHeadTooLarge { return .malformed("a reply's head that is too large or no HTTP") }
    if isRejected { return .rejected }
    let text = handle.failure.isEmpty ? String(cString: curl_easy_strerror(result)) : handle.failure
    var proxyStatus = 0
    wdsfs_easy_get_long(handle.raw, CURLINFO_HTTP_CONNECTCODE, &proxyStatus)
    if result != CURLE_OK, proxyStatus >= 400, proxyStatus < 500 {
      return .untrusted("the proxy lets nobody through: HTTP \(proxyStatus)")
    }
    switch result {
    case CURLE_OK: return .completed
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return .unresolved(text)
    case CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED, CURLE_SSL_CONNECT_ERROR:
      return .noConnection(text)
    case CURLE_OPERATION_TIMEDOUT:
      return isHeadComplete ? .stalled(text) : .noConnection(text)
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE,
      CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CIPHER:
      return .untrusted(text)
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING:
      return .malformed(text)
    default: return .broken(text)
    }
  }
}

extension Duration {
  /// Rounded up, at least 1.
  var wholeMilliseconds: Int {
    let (seconds, attoseconds) = components
    return max(
      1,
      Int(min(seconds, 1 << 31)) * 1000
        + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    )
  }

  var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
