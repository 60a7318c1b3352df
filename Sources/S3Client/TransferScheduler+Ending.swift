import Logging
import Remote

/// What becomes of a transfer once an attempt has ended: it is answered, or goes once more.
extension TransferScheduler {
  func ended(_ attempt: Attempt, _ end: AttemptEnd) {
    let transfer = attempt.transfer
    guard case .inFlight(let current) = transfer.state else { return }
    if let rival = transfer.rival, transfer.claimant == nil {
      // The other one may still get through.
      if current === attempt { transfer.state = .inFlight(rival) }
      if current === attempt || rival === attempt { transfer.rival = nil }
      return
    }
    guard current === attempt else { return }
    if let wait = attempt.headWait, case .completed = end {
      hedges.succeeded(after: wait, longestSilence: attempt.longestSilence)
    }
    if attempt.receivedBytes > 0 || attempt.wasPaused {
      transfer.retry.advanced(
        to: transfer.exchange.usefulBytes,
        at: attempt.lastByteAt,
        options.retry
      )
    }
    transfer.lastEnd = end
    if case .completed = end { loop.note(attempt) }
    let outcome = transfer.exchange.ended(end)
    log.remark(transfer)
    settle(transfer, outcome)
  }

  func settle(_ transfer: Transfer, _ outcome: AttemptOutcome) {
    let now = ContinuousClock.now
    switch outcome {
    case .finished:
      transfer.state = .finished
      limit.succeeded()
      shares.succeeded(transfer.exchange.objectKey)
      if quota.isOpen { log.write(.notice, "s3.circuit_closed", "\(endpoint) answers again") }
      transfer.retry.succeeded(quota: &quota)
    case .again:
      transfer.retry.wentOn()
      enqueue(transfer)
    case .later(let lesson):
      transfer.retry.wentOn()
      transfer.state = .learning
      learning.append(transfer)
      lesson { [weak loop] error in loop?.send(.learnt(transfer, error)) }
    case .parked: transfer.state = .parked
    case .hopeless(let error): finish(transfer, error)
    case .failed(let cause, let retryAfter, let detail):
      transfer.lastFailure = detail
      transfer.lastCause = cause
      retry(transfer, cause, retryAfter, now)
    }
  }

  private func retry(
    _ transfer: Transfer,
    _ cause: RetryCause,
    _ retryAfter: Duration?,
    _ now: ContinuousClock.Instant
  ) {
    if cause == .throttled {
      limit.throttled(at: now)
      loop.count { $0.throttled += 1 }
    } else {
      shares.failed(transfer.exchange.objectKey, at: now)
    }
    let wasOpen = quota.isOpen
    var policy = options.retry
    if let most = transfer.exchange.maxBadReplies { policy.maxBadReplies = most }
    let delay = transfer.retry.delay(
      after: cause,
      retryAfter: retryAfter,
      now: now,
      fraction: Double.random(in: 0..<1, using: &generator),
      policy: policy,
      quota: &quota
    )
    if quota.isOpen, !wasOpen {
      log.write(
        .warning,
        "s3.circuit_open",
        "\(endpoint) fails again and again; one request a second goes out until it answers"
      )
    }
    guard let delay else {
      finish(transfer, exhausted(transfer, now))
      return
    }
    let reason = RetryReason(cause, transfer.lastEnd)
    loop.count { $0.retriesByReason[reason, default: 0] += 1 }
    log.retried(transfer, cause, after: delay)
    if delay == .zero {
      enqueue(transfer)
    } else {
      transfer.state = .delayed(until: now + delay)
      delayed.append(transfer)
    }
  }

  /// Answers the transfer with an error, wherever it stands.
  func finish(_ transfer: Transfer, _ error: StoreError) {
    switch transfer.state {
    case .finished: return
    case .inFlight(let attempt):
      takeOut(attempt)
      if let rival = transfer.rival.take() { takeOut(rival) }
    case .delayed: delayed.removeAll { $0 === transfer }
    case .learning: learning.removeAll { $0 === transfer }
    case .parked: break
    case .waiting:
      readers.remove(transfer)
      readAhead.remove(transfer)
    }
    transfer.state = .finished
    if error != .cancelled {
      loop.count { $0.failures += 1 }
      log.failed(transfer, error)
    }
    transfer.exchange.finish(error)
  }

  func exhausted(_ transfer: Transfer, _ now: ContinuousClock.Instant) -> StoreError {
    let seconds = (now - transfer.startedAt).inSeconds
    switch (transfer.lastEnd, transfer.lastCause) {
    case (nil, _):
      let wasSent = transfer.retry.totalAttempts > 0
      let detail = "\(wasSent ? "no answer" : "no request could be sent") in \(Int(seconds)) s"
      return .unreachable(endpoint: endpoint, detail: detail)
    case (.unresolved, _), (.noConnection, _):
      return .unreachable(endpoint: endpoint, detail: transfer.lastFailure)
    case (_, .badReply):
      return .badReply(what: transfer.exchange.what, detail: transfer.lastFailure)
    default:
      return .exhausted(
        what: transfer.exchange.what,
        attempts: transfer.retry.totalAttempts,
        seconds: seconds,
        detail: transfer.lastFailure
      )
    }
  }
}

extension RetryReason {
  init(_ cause: RetryCause, _ end: AttemptEnd?) {
    switch (cause, end) {
    case (.throttled, _): self = .throttled
    case (.badReply, _): self = .badReply
    case (_, .stalled): self = .stalled
    case (_, .noConnection): self = .unreachable
    case (.reset, _): self = .reset
    case (.transient, _): self = .server
    }
  }
}
