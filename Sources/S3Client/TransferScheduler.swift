import CCurl
import Logging
import Remote

/// The loop's own side: which transfer goes next, and what happens when one ends.
///
/// Lives on the loop's thread alone.
final class TransferScheduler {
  /// How often slow transfers are looked for while some are in flight.
  private static let maxTick: Duration = .milliseconds(250)

  unowned let loop: TransferLoop
  private let multi: UnsafeMutableRawPointer

  /// A look this much later than it should be is a process that was stopped, or a machine asleep.
  private static let maxLateness: Duration = .seconds(5)

  /// How long nothing is looked at while nothing is under way.
  private let maxIdle: Duration
  let options: TransferOptions
  let endpoint: String
  var generator: any RandomNumberGenerator
  var log: TransferLog

  /// In the order they came; those in front that are gone are taken out in bulk.
  var readers = TransferQueue()
  var readAhead = TransferQueue()
  var delayed: [Transfer] = []
  var learning: [Transfer] = []
  var inFlight: [ObjectIdentifier: Attempt] = [:]
  var quota = RetryQuota()
  var limit: InFlightLimit
  var shares = ObjectShares()
  private let budget: ReceiveBudget?
  private var pace: RateLimit?
  private var nextCheck = ContinuousClock.now
  private var nextLook = ContinuousClock.now
  private var isHoldingBack = false
  var hedges = HedgePlan()
  var stalls = StallHistory()

  /// Transfers with two attempts under way, of which the first to get a reply counts.
  var raced: [Transfer] = []

  init(
    loop: TransferLoop,
    multi: UnsafeMutableRawPointer,
    canBeWoken: Bool,
    endpoint: String,
    generator: any RandomNumberGenerator,
    log: TransferLog
  ) {
    self.loop = loop
    self.multi = multi
    maxIdle = canBeWoken ? .seconds(60) : .milliseconds(20)
    self.endpoint = endpoint
    self.generator = generator
    self.log = log
    options = loop.options
    limit = InFlightLimit(most: options.maxConnections)
    budget = options.maxBytesPerSecond.map { ReceiveBudget(bytesPerSecond: $0) }
    pace = options.maxRequestsPerSecond.map { RateLimit(perSecond: Double($0), at: .now) }
    loop.count { $0.requestLimit = limit.current }
    let most = options.maxConnections + options.extraReaderSlots
    wdsfs_multi_set_long(multi, CURLMOPT_MAXCONNECTS, most)
    wdsfs_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
  }

  /// Runs until the loop is shut down.
  func run() {
    while true {
      let (commands, isShutDown) = loop.takeCommands()
      for command in commands { perform(command) }
      if isShutDown { break }
      let now = ContinuousClock.now
      excuse(now - nextLook)
      wakeDelayed(now)
      letGo(now)
      startWaiting(now)
      var running: Int32 = 0
      curl_multi_perform(multi, &running)
      endRaces()
      takeFinished()
      checkTimes(.now)
      startWaiting(.now)
      noteHoldingBack()
      // Of some libcurls (8.21) curl_multi_perform swallows a wake-up that came while it ran.
      let milliseconds = loop.hasCommands ? 0 : pollMilliseconds(.now)
      nextLook = .now + .milliseconds(milliseconds)
      curl_multi_poll(multi, nil, 0, milliseconds, nil)
    }
    for transfer in inFlight.values.map(\.transfer) + waiting {
      finish(transfer, .cancelled)
    }
  }

  // MARK: - Commands

  private func perform(_ command: TransferLoop.Command) {
    switch command {
    case .start(let transfer): enqueue(transfer)
    case .cancel(let transfer): finish(transfer, .cancelled)
    case .learnt(let transfer, let error): learnt(transfer, error)
    case .resume(let transfer): resume(transfer)
    case .raise(let transfer):
      guard transfer.priority < .reader else { return }
      transfer.priority = .reader
      if case .waiting = transfer.state {
        readAhead.remove(transfer)
        readers.append(transfer)
      }
    }
  }

  private func resume(_ transfer: Transfer) {
    switch transfer.state {
    case .inFlight(let attempt):
      attempt.resume()
      guard attempt.isRejected else { return }
      takeOut(attempt)
      ended(attempt, .rejected)
    case .parked: settle(transfer, transfer.exchange.ended(.completed))
    case .waiting, .delayed, .learning, .finished: return
    }
  }

  private func learnt(_ transfer: Transfer, _ error: StoreError?) {
    guard case .learning = transfer.state else { return }
    if let error { return finish(transfer, error) }
    learning.removeAll { $0 === transfer }
    enqueue(transfer)
  }

  func enqueue(_ transfer: Transfer) {
    transfer.state = .waiting
    if transfer.priority == .reader { readers.append(transfer) } else { readAhead.append(transfer) }
  }

  // MARK: - Starting

  private func wakeDelayed(_ now: ContinuousClock.Instant) {
    guard !delayed.isEmpty else { return }
    let due = delayed.filter { transfer in
      if case .delayed(let until) = transfer.state { until <= now } else { true }
    }
    guard !due.isEmpty else { return }
    delayed.removeAll { transfer in due.contains { $0 === transfer } }
    for transfer in due { enqueue(transfer) }
  }

  private func startWaiting(_ now: ContinuousClock.Instant) {
    while let transfer = next {
      if var pace {
        let wait = pace.wait(at: now)
        self.pace = pace
        if wait > .zero { return }
      }
      if quota.isOpen, !isFresh(transfer) {
        guard quota.mayStart(at: now) else { return }
        log.write(.debug, "s3.probe", "probing \(endpoint)")
      }
      readers.remove(transfer)
      readAhead.remove(transfer)
      start(transfer)
    }
  }

  /// Whose turn it is, if there is a free slot for it.
  private var next: Transfer? {
    guard !readers.isEmpty || !readAhead.isEmpty, inFlight.count < slotCount else { return nil }
    if let reader = next(in: readers) { return reader }
    return inFlight.count < limit.current ? next(in: readAhead) : nil
  }

  private func next(in queue: TransferQueue) -> Transfer? {
    guard quota.isOpen else { return queue.first { hasRoom(for: $0) } }
    // While probes are scarce, objects take turns, and what has not failed goes first.
    if let fresh = queue.first(where: { isFresh($0) && hasRoom(for: $0) }) { return fresh }
    return queue.all.filter { hasRoom(for: $0) }
      .min { shares.count(of: $0.exchange.objectKey) < shares.count(of: $1.exchange.objectKey) }
  }

  /// A reader's request for an object that has not failed, and has nothing under way: that others fail
  /// says nothing of this one.
  private func isFresh(_ transfer: Transfer) -> Bool {
    guard transfer.priority == .reader, let key = transfer.exchange.objectKey else { return false }
    return shares.failingSince(key) == nil && shares.count(of: key) == 0
  }

  /// For readers; read-ahead has fewer.
  var slotCount: Int { limit.current + options.extraReaderSlots }

  func hasRoom(for transfer: Transfer) -> Bool {
    shares.hasRoom(for: transfer.exchange.objectKey, ofSlots: slotCount)
  }

  private func start(_ transfer: Transfer) {
    let request: HTTPRequest?
    do throws(StoreError) {
      request = try transfer.exchange.begin()
    } catch {
      finish(transfer, error)
      return
    }
    guard let request else {
      transfer.state = .finished
      return
    }
    guard let attempt = send(request, for: transfer) else {
      finish(transfer, .unreachable(endpoint: endpoint, detail: "libcurl gave no handle"))
      return
    }
    transfer.state = .inFlight(attempt)
    transfer.claimant = nil
    transfer.retry.began(at: .now)
    if transfer.retry.totalAttempts > 1 { loop.count { $0.retries += 1 } }
  }

  /// Puts a request on the wire; nil where libcurl has no handle left.
  func send(_ request: HTTPRequest, for transfer: Transfer) -> Attempt? {
    let attempt = Attempt(
      transfer,
      request: request,
      options: options,
      budget: budget,
      freshSince: stalls.freshSince
    )
    guard let attempt else { return nil }
    pace?.spend(1)
    inFlight[ObjectIdentifier(attempt)] = attempt
    shares.began(transfer.exchange.objectKey)
    curl_multi_add_handle(multi, attempt.handle.raw)
    loop.count { statistics in
      statistics.requests += 1
      statistics.requestsInFlight += 1
    }
    return attempt
  }

  /// Lets bodies that `--bwlimit` holds back go on, a reader's first, until the budget is spent.
  private func letGo(_ now: ContinuousClock.Instant) {
    guard let budget else { return }
    let held = inFlight.values.filter(\.isHeldBack)
      .sorted { $0.transfer.priority > $1.transfer.priority }
    for attempt in held where budget.wait(at: now) == .zero {
      attempt.resume()
      if attempt.isRejected {
        takeOut(attempt)
        ended(attempt, .rejected)
      }
    }
  }

  /// Says whether what could be sent waits because the store has asked for fewer requests.
  private func noteHoldingBack() {
    let isDelayed = delayed.contains { $0.lastCause == .throttled }
    let isLimited = limit.current < limit.most && !(readers.isEmpty && readAhead.isEmpty)
    guard (isDelayed || isLimited) != isHoldingBack else { return }
    isHoldingBack.toggle()
    loop.note(isHoldingBack: isHoldingBack)
  }

  /// Whether it has waited for its whole time for a turn, and not because of others: the whole store
  /// fails, or its object has failed all the while.
  private func waitsInVain(_ transfer: Transfer, _ now: ContinuousClock.Instant) -> Bool {
    let timeout = options.retry.timeout
    guard case .waiting = transfer.state, now - transfer.retry.since > timeout else { return false }
    if quota.isOpen { return true }
    guard let since = shares.failingSince(transfer.exchange.objectKey) else { return false }
    return now - since > timeout
  }

  // MARK: - Ending

  private func takeFinished() {
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE else { continue }
      var context: UnsafeMutableRawPointer?
      wdsfs_easy_get_pointer(message.pointee.easy_handle, CURLINFO_PRIVATE, &context)
      guard let context else { continue }
      let attempt = Unmanaged<Attempt>.fromOpaque(context).takeUnretainedValue()
      let end = attempt.end(wdsfs_message_result(message))
      takeOut(attempt)
      ended(attempt, end)
    }
  }

  /// Cuts what is too slow and ends what is past its deadline; a few times a second is enough.
  private func checkTimes(_ now: ContinuousClock.Instant) {
    guard now >= nextCheck else { return }
    nextCheck = now + tick
    for attempt in Array(inFlight.values) {
      if let deadline = attempt.transfer.deadline, now >= deadline {
        takeOut(attempt)
        finish(attempt.transfer, exhausted(attempt.transfer, now))
      } else if let end = attempt.overdue(at: now) {
        takeOut(attempt)
        noteStall(now)
        ended(attempt, end)
      } else {
        hedge(attempt, now)
        cutShort(attempt, now)
      }
    }
    for transfer in waiting {
      let isOver = transfer.deadline.map { now >= $0 } ?? false
      if isOver || waitsInVain(transfer, now) { finish(transfer, exhausted(transfer, now)) }
    }
  }

  private func noteStall(_ now: ContinuousClock.Instant) {
    guard stalls.stalled(at: now) else { return }
    let text = "\(endpoint) stalls again and again; its name is looked up anew"
    log.write(.notice, "net.dns", text)
  }

  func takeOut(_ attempt: Attempt) {
    guard inFlight.removeValue(forKey: ObjectIdentifier(attempt)) != nil else { return }
    shares.ended(attempt.transfer.exchange.objectKey)
    curl_multi_remove_handle(multi, attempt.handle.raw)
    loop.count { statistics in
      statistics.requestsInFlight -= 1
      statistics.requestLimit = limit.current
      statistics.bytesReceived += Int64(attempt.receivedBytes)
    }
  }

  /// Has no transfer's time run out while nothing could be done for it.
  ///
  /// What is in flight may be too slow by then, and goes once more.
  private func excuse(_ lateness: Duration) {
    guard lateness > Self.maxLateness else { return }
    for transfer in inFlight.values.map(\.transfer) + waiting { transfer.retry.slept(lateness) }
  }

  // MARK: - Waiting

  private var waiting: [Transfer] { delayed + learning + readers.all + readAhead.all }

  private var tick: Duration { min(Self.maxTick, options.stallTime / 5) }

  private func pollMilliseconds(_ now: ContinuousClock.Instant) -> Int32 {
    var wait = maxIdle
    if !inFlight.isEmpty || !readers.isEmpty || !readAhead.isEmpty { wait = min(wait, tick) }
    if let budget, inFlight.values.contains(where: \.isHeldBack) {
      wait = min(wait, budget.wait(at: now))
    }
    if var pace, next != nil { wait = min(wait, pace.wait(at: now)) }
    for transfer in delayed {
      if case .delayed(let until) = transfer.state { wait = min(wait, max(.zero, until - now)) }
      if let deadline = transfer.deadline { wait = min(wait, max(.zero, deadline - now)) }
    }
    for transfer in learning {
      if let deadline = transfer.deadline { wait = min(wait, max(.zero, deadline - now)) }
    }
    return Int32(wait.wholeMilliseconds)
  }
}
