import DequeModule
import Schema
import ShardCache

/// One decoded field: which bytes of a shard, by which rule.
package struct DecodedField: Hashable, Sendable {
  /// The rule's place in `--schema`.
  package let rule: Int
  let shard: Int
  let plane: BytePlane

  /// The raw field, as the shard's index counts.
  let ordinal: Int

  /// Where its bytes lie in the plane.
  let range: Range<Int64>
}

/// What is decoded, what is being decoded, and what could not be: decides, and does nothing.
///
/// Results stay until others need their room: those that were read to their end go first, the oldest
/// of each kind before the others. Of those that are soon decoded again only the last stay once they
/// were read: the next ones get memory that is at hand, rather than fresh pages.
struct DecodedStore {
  enum Finding {
    case ready([UInt8])
    case failed(DecodeError)
    case missing
  }

  private struct Failure {
    let error: DecodeError

    /// When another attempt may be made; nil: never.
    let end: ContinuousClock.Instant?
  }

  private struct Kept {
    let bytes: [UInt8]
    var isRead = false

    /// Whether it counts in `passingBytes`.
    var isPassing = false
  }

  /// Results that were read, and are soon decoded again, take no more than that.
  static let maxPassingBytes = 32 << 20

  /// How long a failure counts that may pass: long enough for all the requests of one reader.
  static let passingFailureTime: Duration = .seconds(5)
  private static let maxFailureCount = 65_536

  let maxBytes: Int
  private(set) var usedBytes = 0
  private(set) var isClosed = false
  private var results: [DecodedField: Kept] = [:]
  private var passingBytes = 0
  private var failures: [DecodedField: Failure] = [:]
  private var waiters: [DecodedField: [any CacheWaiter]] = [:]

  /// Results in the order in which they came, and in which they were read to their end.
  ///
  /// Either may hold some that are gone.
  private var byAge: Deque<DecodedField> = []
  private var read: Deque<DecodedField> = []
  private var passing: Deque<DecodedField> = []

  init(maxBytes: Int) {
    self.maxBytes = maxBytes
  }

  func finding(of field: DecodedField, now: ContinuousClock.Instant) -> Finding {
    if let result = results[field] { return .ready(result.bytes) }
    guard let failure = failures[field] else { return .missing }
    if let end = failure.end, end <= now { return .missing }
    return .failed(failure.error)
  }

  /// Whether there is nothing and nobody is at work on it.
  func isWanted(_ field: DecodedField) -> Bool {
    results[field] == nil && failures[field] == nil && waiters[field] == nil
  }

  // MARK: Work

  /// What follows from somebody's wish for a field.
  enum Beginning {
    /// There is something to be found.
    case there

    /// The caller begins the work.
    case new

    /// Somebody is at work.
    case underWay
    case closed
  }

  /// Takes up who waits for a field; nobody where it is decoded ahead.
  mutating func want(
    _ field: DecodedField,
    _ waiter: (any CacheWaiter)?,
    now: ContinuousClock.Instant
  ) -> Beginning {
    if isClosed { return .closed }
    guard case .missing = finding(of: field, now: now) else { return .there }
    let known = waiters[field]
    waiters[field] = (known ?? []) + (waiter.map { [$0] } ?? [])
    return known == nil ? .new : .underWay
  }

  mutating func leave(_ field: DecodedField, _ waiter: any CacheWaiter) {
    waiters[field]?.removeAll { $0.speaks(for: waiter) }
  }

  /// Takes up what came of the work, nil where the raw bytes could not be had.
  ///
  /// - Returns: Those who wait for it.
  mutating func finish(
    _ field: DecodedField,
    _ result: Result<[UInt8], DecodeError>?,
    now: ContinuousClock.Instant
  ) -> [any CacheWaiter] {
    let waiting = waiters.removeValue(forKey: field) ?? []
    guard !isClosed else { return waiting }
    switch result {
    case .success(let bytes): keep(bytes, of: field)
    case .failure(let error):
      if failures.count >= Self.maxFailureCount { failures.removeAll() }
      let end = error.isLasting ? nil : now + Self.passingFailureTime
      failures[field] = Failure(error: error, end: end)
    case nil: break
    }
    return waiting
  }

  private mutating func keep(_ bytes: [UInt8], of field: DecodedField) {
    guard results[field] == nil else { return }
    failures[field] = nil
    while usedBytes > maxBytes - bytes.count, evictOne() {}
    results[field] = Kept(bytes: bytes)
    usedBytes += bytes.count
    byAge.append(field)
  }

  private mutating func evictOne() -> Bool {
    while let field = passing.popFirst() ?? read.popFirst() ?? byAge.popFirst() {
      if evict(field) { return true }
    }
    return false
  }

  private mutating func evict(_ field: DecodedField) -> Bool {
    guard let result = results.removeValue(forKey: field) else { return false }
    usedBytes -= result.bytes.count
    if result.isPassing { passingBytes -= result.bytes.count }
    return true
  }

  /// Notes that a result was read to its end.
  ///
  /// - Parameters:
  ///   - field: Which.
  ///   - isPassing: Whether to decode it again takes no longer than to keep it is worth.
  mutating func noteRead(_ field: DecodedField, isPassing: Bool = false) {
    guard var result = results[field], !result.isRead else { return }
    let count = result.bytes.count
    result.isRead = true
    result.isPassing = isPassing && count <= Self.maxPassingBytes / 8
    results[field] = result
    if result.isPassing {
      passingBytes += count
      passing.append(field)
      while passingBytes > Self.maxPassingBytes, let oldest = passing.popFirst() {
        _ = evict(oldest)
      }
    } else {
      read.append(field)
    }
    forgetNames()
  }

  /// Drops names of what is gone, where they are many.
  private mutating func forgetNames() {
    let most = 64 + 2 * results.count
    if byAge.count > most { byAge.removeAll { results[$0] == nil } }
  }

  /// Refuses every wish from now on.
  ///
  /// - Returns: Those who wait.
  mutating func close() -> [any CacheWaiter] {
    defer {
      isClosed = true
      waiters = [:]
      results = [:]
      passingBytes = 0
    }
    return waiters.values.flatMap(\.self)
  }
}
