/// Notices a transfer that has become too slow: below 16 KiB/s over the last 5 s.
///
/// The window slides in fifths, so that a stall is seen after 5 to 6 s. The clock stands while we
/// pause the transfer ourselves.
package struct SpeedWatch: Hashable, Sendable {
  private static let slots = 5

  private let slotTime: Duration
  private let leastBytes: Int64
  private var bytes: [Int64] = []
  private var current: Int64 = 0
  private var slotEnd: ContinuousClock.Instant

  package init(
    window: Duration,
    leastBytesPerSecond: Int64,
    startingAt now: ContinuousClock.Instant
  ) {
    slotTime = window / Self.slots
    let seconds = Double(window.components.seconds) + Double(window.components.attoseconds) * 1e-18
    leastBytes = Int64(min(Double(leastBytesPerSecond) * seconds, 1e15))
    slotEnd = now + slotTime
    bytes.reserveCapacity(Self.slots + 1)
  }

  package mutating func received(_ count: Int) {
    current += Int64(count)
  }

  /// Starts anew, as after a pause.
  package mutating func restart(at now: ContinuousClock.Instant) {
    bytes.removeAll(keepingCapacity: true)
    current = 0
    slotEnd = now + slotTime
  }

  /// Whether the last whole window brought too little; to be asked at least once a slot.
  package mutating func isTooSlow(at now: ContinuousClock.Instant) -> Bool {
    while now >= slotEnd {
      bytes.append(current)
      current = 0
      slotEnd += slotTime
      if bytes.count > Self.slots { bytes.removeFirst() }
      if now - slotEnd > slotTime * (2 * Self.slots) { slotEnd = now }
    }
    return bytes.count == Self.slots && bytes.reduce(current, +) < leastBytes
  }
}
