/// The readings of a pass that are under way side by side, each at a place of its own.
///
/// A rank is often read by several workers, and each may have a part of it to itself. Read-ahead that
/// followed now one and now the other would let go each time of what the other one is about to read.
package struct Readings: Sendable {
  /// What is to be done about a read.
  package struct Answer: Sendable {
    /// Which reading it belongs to; readings that have ended give their numbers away.
    package let reading: Int
    package let step: ReadingProgress.Step

    /// Readings that nobody has gone on with for long.
    package let ended: [Int]
  }

  private struct Entry {
    var progress = ReadingProgress()
    var lastRead = 0
  }

  /// So many readings are told apart: as many workers as a large machine has.
  ///
  /// With one more, each would take another's place with every read.
  package static let maxCount = 128

  /// A reading that is not gone on with while the others read so often has ended.
  private static let maxIdleReads = 1024

  private var entries: [Entry] = []
  private var latest = 0
  private var readCount = 0

  package init() {}

  /// How many have something fetched ahead.
  package var liveCount: Int { entries.count { $0.progress.windowBytes > 0 } }

  /// Takes up that a position was read.
  ///
  /// - Parameters:
  ///   - position: Of the pass.
  ///   - firstBytes: The window once a second read shows that the reader goes forward.
  ///   - maxBytes: What the windows of all readings grow to together.
  /// - Returns: What is to be done about it.
  package mutating func step(to position: Int, firstBytes: Int64, maxBytes: Int64) -> Answer {
    readCount += 1
    let ended = readCount % Self.maxIdleReads == 0 ? endIdle() : []
    let (reading, isTakenOver) = reading(at: position)
    let others = Int64(liveCount - (entries[reading].progress.windowBytes > 0 ? 1 : 0))
    let step = entries[reading].progress.step(
      to: position,
      firstBytes: min(firstBytes, maxBytes / (others + 1)),
      maxBytes: maxBytes / (others + 1)
    )
    entries[reading].lastRead = readCount
    latest = reading
    return Answer(reading: reading, step: isTakenOver ? .stop : step, ended: ended)
  }

  /// Says for which positions a reading's last window is good enough.
  package mutating func settle(_ positions: Range<Int>, of reading: Int) {
    guard entries.indices.contains(reading) else { return }
    entries[reading].progress.settle(positions)
  }

  /// Has each reading's window worked out anew with its next read.
  package mutating func unsettle() {
    for number in entries.indices { entries[number].progress.unsettle() }
  }

  /// The reading that a position goes on with, or a new one.
  ///
  /// - Returns: Its number, and whether another one with a window had to make way for it.
  private mutating func reading(at position: Int) -> (reading: Int, isTakenOver: Bool) {
    if entries.indices.contains(latest), entries[latest].progress.goesOn(at: position) {
      return (latest, false)
    }
    if let found = entries.firstIndex(where: { $0.progress.goesOn(at: position) }) {
      return (found, false)
    }
    if entries.count < Self.maxCount {
      entries.append(Entry())
      return (entries.count - 1, false)
    }
    let oldest = entries.indices.min { entries[$0].lastRead < entries[$1].lastRead } ?? 0
    let hadWindow = entries[oldest].progress.windowBytes > 0
    entries[oldest] = Entry()
    return (oldest, hadWindow)
  }

  private mutating func endIdle() -> [Int] {
    let idle = entries.indices.filter { number in
      entries[number].progress.windowBytes > 0
        && readCount - entries[number].lastRead >= Self.maxIdleReads
    }
    for number in idle { entries[number].progress = ReadingProgress() }
    return idle
  }
}
