package import Remote

/// How many slots the requests of each object take, so that one that stalls leaves some to the others.
///
/// An object gets no further slot once it has four times what is free: of 40 slots it takes 32 at most.
/// One whose last request failed gets an eighth, until one succeeds.
package struct ObjectShares: Hashable, Sendable {
  private static let maxShare = 4
  private static let failingPart = 8

  private var counts: [ObjectKey: Int] = [:]
  private var total = 0

  /// Since when each object has failed, without a success.
  private var failures: [ObjectKey: ContinuousClock.Instant] = [:]

  package init() {}

  /// How many requests of an object are in flight; 0 for what is no object.
  package func count(of key: ObjectKey?) -> Int {
    key.flatMap { counts[$0] } ?? 0
  }

  /// When an object began to fail; nil where its last request succeeded, or none has ended yet.
  package func failingSince(_ key: ObjectKey?) -> ContinuousClock.Instant? {
    key.flatMap { failures[$0] }
  }

  /// Whether an object may have one more.
  ///
  /// - Parameters:
  ///   - key: The object; nil for what is none, for example a listing.
  ///   - slotCount: How many there are for all.
  /// - Returns: False where it has its share.
  package func hasRoom(for key: ObjectKey?, ofSlots slotCount: Int) -> Bool {
    let count = count(of: key)
    if failingSince(key) != nil, count >= max(1, slotCount / Self.failingPart) { return false }
    return count < Self.maxShare * max(0, slotCount - total)
  }

  package mutating func began(_ key: ObjectKey?) {
    total += 1
    if let key { counts[key, default: 0] += 1 }
  }

  package mutating func ended(_ key: ObjectKey?) {
    total -= 1
    guard let key, let count = counts[key] else { return }
    counts[key] = count == 1 ? nil : count - 1
  }

  package mutating func failed(_ key: ObjectKey?, at now: ContinuousClock.Instant) {
    if let key, failures[key] == nil { failures[key] = now }
  }

  package mutating func succeeded(_ key: ObjectKey?) {
    if let key, !failures.isEmpty { failures[key] = nil }
  }
}
