import Glibc
package import Logging
import Remote
package import Schema
import ShardCache
import Synchronization
import TarIndex

/// The rules of `--schema`, what they gave so far, and the threads that work on it.
///
/// No request waits on a thread: a question that wants a decoded field is parked as one that wants
/// bytes, and answered from the thread that has decoded it.
package final class FieldDecoding: Sendable {
  /// What becomes of a field that cannot be decoded.
  package enum ErrorPolicy: String, CaseIterable, Sendable {
    /// The raw bytes under the decoded field's name.
    case raw

    /// Reading it is an error.
    case eio

    /// It is not there.
    case skip
  }

  /// Inode numbers keep so many of a sample's for decoded fields.
  package static let maxRules = 64

  package let rules: [SchemaRule]
  package let onError: ErrorPolicy

  /// Whether a rule shows its long name always: its short one is of something else.
  let isLong: [Bool]
  private let decoders: [FieldDecoder]
  private let store: Mutex<DecodedStore>
  private let jobs = Mutex<[DecodedField: DecodeJob]>([:])
  private let reaches = Mutex<[ReachKey: Range<Int>]>([:])
  private let pool: WorkerPool
  private let brake: ProgramBrake
  private let logger: Logger

  /// - Parameters:
  ///   - rules: At most `maxRules`.
  ///   - onError: What becomes of a field that cannot be decoded.
  ///   - maxBytes: What decoded fields may take together, and each of them.
  ///   - environment: What programs see.
  ///   - threadCount: Fields decoded at once.
  ///   - logger: Hears of what is not seen as an error.
  /// - Throws: `ProgramError`, where one of the programs is missing.
  package init(
    rules: [SchemaRule],
    onError: ErrorPolicy,
    maxBytes: Int,
    environment: [String: String] = [:],
    threadCount: Int = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
    logger: Logger
  ) throws(ProgramError) {
    precondition(rules.count <= Self.maxRules, "\(rules.count) rules")
    self.rules = rules
    self.onError = onError
    self.logger = logger
    brake = ProgramBrake()
    var decoders: [FieldDecoder] = []
    for rule in rules {
      decoders.append(
        try FieldDecoder(rule.format, maxBytes: maxBytes, environment: environment, brake: brake)
      )
    }
    self.decoders = decoders
    isLong = rules.map { rule in
      rules.first { $0.shortName == rule.shortName }?.isImage != rule.isImage
    }
    store = Mutex(DecodedStore(maxBytes: maxBytes))
    pool = WorkerPool(name: "decode", threadCount: threadCount)
  }

  // MARK: Asking

  /// What there is of a field now.
  func finding(of field: DecodedField) -> DecodedStore.Finding {
    store.withLock { $0.finding(of: field, now: .now) }
  }

  func noteRead(_ field: DecodedField) {
    // An archive that was decompressed is read from its end, and a program may have taken seconds.
    let isPassing = rules[field.rule].isImage
    store.withLock { $0.noteRead(field, isPassing: isPassing) }
  }

  /// Tells the waiter once the field is decoded or cannot be.
  func wait(for field: DecodedField, in cache: ShardReader, _ waiter: any CacheWaiter) {
    let beginning = store.withLock { $0.want(field, waiter, now: .now) }
    switch beginning {
    case .there: waiter.cacheAnswered(nil)
    case .closed: waiter.cacheAnswered(.closed)
    case .new: begin(field, in: cache, isUrgent: true)
    // It may have been begun ahead, behind what is wanted now.
    case .underWay: jobs.withLock { $0[field] }?.queue(isUrgent: true)
    }
  }

  /// Forgets who no longer waits; the field is decoded all the same, for whoever comes next.
  func leave(_ field: DecodedField, _ waiter: any CacheWaiter) {
    store.withLock { $0.leave(field, waiter) }
  }

  /// Has a field decoded that somebody will want.
  func decodeAhead(_ field: DecodedField, in cache: ShardReader) {
    let isNew = store.withLock { store in
      guard store.isWanted(field), case .new = store.want(field, nil, now: .now) else {
        return false
      }
      return true
    }
    if isNew { begin(field, in: cache, isUrgent: false) }
  }

  private func begin(_ field: DecodedField, in cache: ShardReader, isUrgent: Bool) {
    let job = DecodeJob(field, self, cache)
    jobs.withLock { $0[field] = job }
    job.queue(isUrgent: isUrgent)
  }

  // MARK: Working

  func run(isUrgent: Bool, _ work: @escaping @Sendable () -> Void) {
    pool.run(isUrgent: isUrgent, work)
  }

  func decode(_ bytes: [UInt8], of field: DecodedField) -> Result<[UInt8], DecodeError> {
    bytes.withUnsafeBytes { bytes in
      Result { () throws(DecodeError) in try decoders[field.rule].decode(bytes) }
    }
  }

  /// Takes up what came of a job.
  ///
  /// - Parameters:
  ///   - field: Which.
  ///   - result: Nil where the raw bytes could not be had.
  ///   - failure: Why not.
  ///   - name: The sample, for messages.
  func finish(
    _ field: DecodedField,
    _ result: Result<[UInt8], DecodeError>?,
    _ failure: CacheError?,
    _ name: () -> (shard: String, key: String)
  ) {
    if case .failure(let error)? = result, onError != .eio {
      let (shard, key) = name()
      let outcome = onError == .raw ? "its raw bytes are shown" : "it is not shown"
      logger.warning(
        "\(rules[field.rule].field) of sample \(key) in \(shard) cannot be decoded: \(error); \(outcome)",
        metadata: [
          "event": "decode.failed", "shard": "\(shard)", "key": "\(key)",
          "field": "\(rules[field.rule].field)",
        ]
      )
    }
    jobs.withLock { $0[field] = nil }
    let waiters = store.withLock { $0.finish(field, result, now: .now) }
    for waiter in waiters { waiter.cacheAnswered(failure) }
  }

  /// Fails who waits, ends programs that run, and lets the threads end.
  package func shutDown() {
    brake.pull()
    let waiters = store.withLock { $0.close() }
    pool.close()
    for waiter in waiters { waiter.cacheAnswered(.closed) }
    pool.waitForEnd(maxSeconds: 2)
  }

  // MARK: Ahead

  private struct ReachKey: Hashable {
    let pass: Int
    let rule: Int
  }

  /// So many fields are decoded ahead of their reader, if they have room.
  private static let maxAheadCount = 64

  /// Several workers that share a rank are batches apart.
  private static let nearCount = 1024

  /// The positions that are to be decoded ahead of one that is read: those that no earlier call gave.
  func positionsAhead(of position: Int, ofPass pass: Int, rule: Int, bytes: Int) -> Range<Int> {
    let room = store.withLock { $0.maxBytes } / 2 / max(1, bytes)
    let count = min(Self.maxAheadCount, room)
    guard count > 0 else { return 0..<0 }
    return reaches.withLock { reaches in
      let key = ReachKey(pass: pass, rule: rule)
      let known = reaches[key] ?? position + 1..<position + 1
      let isNear =
        position + Self.nearCount >= known.lowerBound
        && position <= known.upperBound + Self.nearCount
      let start = isNear ? max(known.upperBound, position + 1) : position + 1
      // In strides, so that most reads have nothing to do here.
      guard !isNear || known.isEmpty || position + count / 2 >= known.upperBound else {
        return 0..<0
      }
      let end = max(start, position + 1 + count)
      if reaches.count > Self.nearCount { reaches.removeAll() }
      reaches[key] = (isNear ? min(known.lowerBound, start) : start)..<end
      return start..<end
    }
  }
}

extension FieldDecoding {
  /// Notes that what was given of positions ahead could be followed only so far.
  func noteReach(_ end: Int, ofPass pass: Int, rule: Int) {
    reaches.withLock { reaches in
      guard let known = reaches[ReachKey(pass: pass, rule: rule)] else { return }
      reaches[ReachKey(pass: pass, rule: rule)] = min(known.lowerBound, end)..<end
    }
  }
}

/// Brings the raw bytes of one field, piece by piece as they come, and has them decoded.
final class DecodeJob: CacheWaiter {
  private enum Phase {
    /// Nobody is at work; a thread of the pool may come.
    case queued

    /// A thread is at work, or the cache is asked for what is missing.
    case busy
  }

  private struct State {
    var phase = Phase.queued
    var isUrgent = false
    var bytes: [UInt8] = []
  }

  /// More raw bytes than that are not gathered in memory.
  private static let maxRawBytes: Int64 = 256 << 20

  private let field: DecodedField
  private let decoding: FieldDecoding
  private let cache: ShardReader
  private let state = Mutex(State())

  init(_ field: DecodedField, _ decoding: FieldDecoding, _ cache: ShardReader) {
    self.field = field
    self.decoding = decoding
    self.cache = cache
  }

  /// Has a thread of the pool come; one that finds another at work leaves again.
  func queue(isUrgent: Bool) {
    let isUrgent = state.withLock { state in
      if isUrgent { state.isUrgent = true }
      return state.isUrgent
    }
    decoding.run(isUrgent: isUrgent) { [self] in work() }
  }

  func cacheAnswered(_ failure: CacheError?) {
    if let failure { return finish(nil, failure) }
    state.withLock { $0.phase = .queued }
    queue(isUrgent: false)
  }

  private func work() {
    let gathered = state.withLock { state -> [UInt8]? in
      guard state.phase == .queued else { return nil }
      state.phase = .busy
      defer { state.bytes = [] }
      return state.bytes
    }
    guard var bytes = gathered else { return }
    guard Int64(field.range.count) <= Self.maxRawBytes else {
      return finish(.failure(.tooLarge("it takes more than \(Self.maxRawBytes) bytes itself")))
    }
    while let piece = nextPiece(after: bytes.count) {
      let isThere = cache.withBytes(piece, ofShard: field.shard, plane: field.plane) {
        bytes += $0
        bytes += $1
        return true
      }
      guard isThere == true else {
        let gathered = bytes
        state.withLock { $0.bytes = gathered }
        return cache.wait(forBytes: piece, ofShard: field.shard, plane: field.plane, self)
      }
    }
    finish(decoding.decode(bytes, of: field))
  }

  private func nextPiece(after count: Int) -> Range<Int64>? {
    let start = field.range.lowerBound + Int64(count)
    guard start < field.range.upperBound else { return nil }
    return start..<min(field.range.upperBound, start + Int64(ShardReader.maxReadBytes))
  }

  private func finish(_ result: Result<[UInt8], DecodeError>?, _ failure: CacheError? = nil) {
    decoding.finish(field, result, failure) {
      let shard = "\(cache.shards[field.shard].key)"
      guard let index = cache.index(ofShard: field.shard), field.ordinal < index.fieldCount else {
        return (shard, "?")
      }
      let sample = index.sampleNumber(ofField: field.ordinal)
      return (shard, index.withKey(ofSample: sample) { PrintableName.text($0) })
    }
  }
}
