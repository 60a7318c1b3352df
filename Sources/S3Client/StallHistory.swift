/// Notices that transfers stall again and again, as when an address no longer leads anywhere.
///
/// Then the host's name is looked up anew and no older connection is used (docs/reliability.md, S6).
package struct StallHistory: Hashable, Sendable {
  private static let window: Duration = .seconds(60)
  private static let tooMany = 3

  private var stalls: [ContinuousClock.Instant] = []

  /// Connections made before this are not used again; nil: all may be.
  package private(set) var freshSince: ContinuousClock.Instant?

  package init() {}

  /// Notes a stall; true where it is one too many.
  package mutating func stalled(at now: ContinuousClock.Instant) -> Bool {
    stalls.removeAll { now - $0 > Self.window }
    stalls.append(now)
    guard stalls.count >= Self.tooMany else { return false }
    stalls = []
    freshSince = now
    return true
  }
}
