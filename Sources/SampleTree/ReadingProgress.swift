/// How far one reading of a pass has come, and how much is fetched ahead of it.
///
/// Workers that are batches apart read together.
/// Whoever goes forward gets a window that grows; whoever jumps about gets nothing that was not
/// asked for.
package struct ReadingProgress: Sendable {
  /// Read-ahead is worked out again when a position outside is read.
  package private(set) var settled = 0..<0

  /// How far ahead bytes are fetched; 0 while it is not known that the reader goes forward.
  package private(set) var windowBytes: Int64 = 0

  /// Several workers that share a rank are batches apart: so far from `settled` a position still
  /// counts as part of the same reading.
  private static let nearCount = 512

  package init() {}

  /// What is to be done about a read.
  package enum Step: Hashable, Sendable {
    /// Its read-ahead is worked out already, or it wants none.
    case nothing

    /// Fetch so many bytes ahead, and say by `settle` how far that reaches.
    case fetchAhead(windowBytes: Int64)

    /// Another reading begins: what was to be fetched for the last one is wanted no more.
    case stop
  }

  /// Whether who reads a position goes on with this reading.
  package func goesOn(at position: Int) -> Bool {
    settled.contains(position) || isReached(position) || isBehind(position)
  }

  /// Whether a position lies as far before what is settled as the first of its readers may be.
  private func isReached(_ position: Int) -> Bool {
    guard !settled.isEmpty, position > 0 else { return false }
    let ahead = position - settled.upperBound
    return ahead >= 0 && ahead < Self.nearCount + settled.count * 2
  }

  /// Whether one of several workers, who is behind, may be there.
  private func isBehind(_ position: Int) -> Bool {
    windowBytes > 0 && position > 0 && position < settled.lowerBound
      && settled.lowerBound - position <= Self.nearCount
  }

  /// Takes up that a position was read.
  ///
  /// - Parameters:
  ///   - position: Of the pass.
  ///   - firstBytes: The window once a second read shows that the reader goes forward.
  ///   - maxBytes: What it grows to.
  /// - Returns: What is to be done about it.
  package mutating func step(to position: Int, firstBytes: Int64, maxBytes: Int64) -> Step {
    guard !settled.contains(position) else { return .nothing }
    if isReached(position) {
      settled = position..<position + 1
      // Not above the limit before it is multiplied, so that nothing overflows.
      let grown = windowBytes > maxBytes / 4 ? maxBytes : windowBytes * 4
      windowBytes = min(maxBytes, max(firstBytes, grown))
      return .fetchAhead(windowBytes: windowBytes)
    }
    // The window goes with the first of them.
    if isBehind(position) { return .nothing }
    settled = position..<position + 1
    defer { windowBytes = 0 }
    return windowBytes > 0 ? .stop : .nothing
  }

  /// Says for which positions the last window is good enough.
  ///
  /// Another thread may have gone on meanwhile, which then counts.
  package mutating func settle(_ positions: Range<Int>) {
    guard settled.lowerBound == positions.lowerBound else { return }
    settled = positions
  }

  /// Has the window worked out anew with the next read.
  package mutating func unsettle() {
    settled = settled.prefix(1)
  }
}
