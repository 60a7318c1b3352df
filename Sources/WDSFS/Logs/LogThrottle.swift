/// Lets one line a second through for each event and shard, and counts the others.
///
/// It knows no clock: the caller says what time it is.
package struct LogThrottle: Sendable {
  package struct Key: Hashable, Sendable {
    package let event: String
    package let shard: String

    package init(event: String, shard: String) {
      self.event = event
      self.shard = shard
    }
  }

  package enum Verdict: Hashable, Sendable {
    /// `suppressedCount`: how many were kept back since the last one that passed.
    case pass(suppressedCount: Int)

    case suppress
  }

  private struct State {
    var passedAt: Duration
    var suppressedCount = 0
  }

  package static let interval: Duration = .seconds(1)

  /// Shards are foreign and may be millions; beyond this many, the old are forgotten, with what they
  /// kept back.
  package static let maxKeys = 4096

  private var states: [Key: State] = [:]

  package init() {}

  /// How many events and shards are remembered.
  package var keyCount: Int { states.count }

  /// - Parameters:
  ///   - key: What the line is about.
  ///   - now: On a clock that never goes back.
  /// - Returns: Whether the line is written, and how many it stands for besides.
  package mutating func verdict(for key: Key, at now: Duration) -> Verdict {
    if var state = states[key], now - state.passedAt < Self.interval {
      state.suppressedCount += 1
      states[key] = state
      return .suppress
    }
    let suppressedCount = states[key]?.suppressedCount ?? 0
    if states[key] == nil, states.count >= Self.maxKeys { forget(at: now) }
    states[key] = State(passedAt: now)
    return .pass(suppressedCount: suppressedCount)
  }

  private mutating func forget(at now: Duration) {
    states = states.filter { now - $0.value.passedAt < Self.interval }
    if states.count >= Self.maxKeys { states.removeAll(keepingCapacity: true) }
  }
}
