package import Instruments

/// What reads through the mount cost and bring, counted on the threads that answer them.
///
/// Reads of the mount's own state count nowhere. No lock and no allocation; the numbers of one look
/// may be of moments a little apart.
package final class ReadMeters: Sendable {
  private enum Cell {
    static let bytes = 0
    static let errors = 1
    static let begunWaits = 2
    static let endedWaits = 3
    static let count = 4
  }

  private let hitTimes = LatencyHistogram()
  private let missTimes = LatencyHistogram()
  private let cells = AtomicCells(count: Cell.count)

  package init() {}

  /// A read is answered.
  ///
  /// - Parameters:
  ///   - byteCount: What it brought.
  ///   - start: When the kernel's request was taken up.
  ///   - hasWaited: Whether the bytes were not there at first.
  func answered(byteCount: Int, since start: MonotonicTime, hasWaited: Bool) {
    if hasWaited { missTimes.observe(since: start) } else { hitTimes.observe(since: start) }
    cells.add(byteCount, to: Cell.bytes)
  }

  func failed() { cells.add(1, to: Cell.errors) }
  func beginWait() { cells.add(1, to: Cell.begunWaits) }
  func endWait() { cells.add(1, to: Cell.endedWaits) }

  package var value: ReadStatistics {
    // The ends first, so that none is seen before its beginning.
    let ended = cells.sum(Cell.endedWaits)
    return ReadStatistics(
      hits: hitTimes.value,
      misses: missTimes.value,
      bytes: cells.sum(Cell.bytes),
      errors: cells.sum(Cell.errors),
      waiting: max(0, cells.sum(Cell.begunWaits) - ended)
    )
  }
}

/// What reads cost and brought since the mount.
package struct ReadStatistics: Sendable {
  /// How long those took whose bytes were in memory, and those that had to wait for some.
  package let hits: HistogramValue
  package let misses: HistogramValue

  package let bytes: Int
  package let errors: Int

  /// Requests of any kind that wait for bytes now.
  package let waiting: Int
}
