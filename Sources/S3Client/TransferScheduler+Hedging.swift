import Remote

/// Second requests for what a reader waits for much longer than others did.
extension TransferScheduler {
  /// Asks a second time for what a reader has waited for much longer than its peers did.
  func hedge(_ attempt: Attempt, _ now: ContinuousClock.Instant) {
    let transfer = attempt.transfer
    guard case .inFlight(let current) = transfer.state, current === attempt,
      transfer.priority == .reader, !attempt.isHeadComplete, transfer.rival == nil,
      let patience = hedges.patience, now - attempt.sentAt > patience, !quota.isOpen,
      inFlight.count < slotCount, hasRoom(for: transfer),
      let request = try? transfer.exchange.begin(), request.body == nil, hedges.take()
    else { return }
    transfer.rival = send(request, for: transfer)
    raced.append(transfer)
    loop.count { $0.hedges += 1 }
    log.hedged(transfer, after: now - attempt.sentAt)
  }

  /// Has the rest of a body that a reader waits for asked for again, once it has been silent for much
  /// longer than its peers.
  ///
  /// What has come is kept. Only a few of a range's attempts end like this: where the whole store
  /// stands still, the others wait it out.
  func cutShort(_ attempt: Attempt, _ now: ContinuousClock.Instant) {
    let transfer = attempt.transfer
    guard case .inFlight(let current) = transfer.state, current === attempt,
      transfer.priority == .reader, transfer.exchange.objectKey != nil, !quota.isOpen,
      let silence = attempt.silence(at: now), let patience = hedges.bodyPatience,
      silence > patience, transfer.retry.mayCutShort, hedges.take()
    else { return }
    transfer.retry.cutShort()
    loop.count { $0.hedges += 1 }
    takeOut(attempt)
    ended(attempt, .stalled("no byte of the body in \(silence.wholeMilliseconds) ms"))
  }

  /// Cuts what has lost against a second attempt, or the other way round.
  func endRaces() {
    guard !raced.isEmpty else { return }
    for transfer in raced {
      guard let winner = transfer.claimant, let rival = transfer.rival,
        case .inFlight(let first) = transfer.state
      else { continue }
      takeOut(winner === rival ? first : rival)
      transfer.state = .inFlight(winner)
      transfer.rival = nil
    }
    raced.removeAll { $0.rival == nil }
  }
}
