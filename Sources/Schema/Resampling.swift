import CImage

/// Brings rows of RGB to another size, as PIL's `BILINEAR` does: a triangle that widens with the
/// factor, so that every pixel of a larger image counts.
///
/// Rows come from top to bottom, and only as many are held as one row of the result is made of. The
/// sums are made in C, whose compiler makes vectors of them as wide as the machine has.
struct Resampling {
  private let rows: Taps
  private let outputColumnCount: Int
  private let pairs: [wdsfs_taps]
  private let pairWeights: [Int32]

  /// The source's columns that count at all.
  let usedColumns: Range<Int>

  /// The source's columns that its rows hold.
  private var heldColumns: Range<Int>

  /// So many rows of the source must be at hand at once.
  let heldRowCount: Int

  /// Sums that `writeRow` wants to work in.
  let scratchCount: Int

  /// Behind the rows of the source so many bytes are read, and count for nothing.
  static let paddingBytes = Int(wdsfs_row_padding)

  /// - Parameters:
  ///   - width: Of the source, in pixels.
  ///   - height: Of the source, in pixels.
  ///   - imageWidth: The image's width in pixels of the source, which may end within the last.
  ///   - imageHeight: Its height, as well.
  ///   - plan: What it becomes.
  init(width: Int, height: Int, imageWidth: Double, imageHeight: Double, _ plan: ResizePlan) {
    let columns = Taps(
      count: width,
      length: imageWidth,
      resizedCount: plan.width,
      kept: plan.columns
    )
    rows = Taps(count: height, length: imageHeight, resizedCount: plan.height, kept: plan.rows)
    (pairs, pairWeights) = columns.pairs
    outputColumnCount = columns.spans.count
    usedColumns = columns.used
    heldColumns = 0..<width
    heldRowCount = max(1, min(height, rows.maxCount + 1))
    scratchCount = (usedColumns.count + columns.maxCount + 2) * 3 + Self.paddingBytes
  }

  /// Has the source's rows hold some columns only, all that are used among them.
  mutating func hold(columns: Range<Int>) {
    precondition(
      columns.lowerBound <= usedColumns.lowerBound && columns.upperBound >= usedColumns.upperBound,
      "columns \(columns) of \(usedColumns)"
    )
    heldColumns = columns
  }

  /// Bytes of a source row, without its padding.
  var rowBytes: Int { heldColumns.count * 3 }

  /// The rows of the source that count at all.
  var usedRows: Range<Int> { rows.used }

  /// Rows of the result.
  var outputRowCount: Int { rows.spans.count }

  /// Bytes of a row of the result.
  var outputRowBytes: Int { outputColumnCount * 3 }

  /// The end of the source rows that a row of the result is made of.
  func lastRow(of outputRow: Int) -> Int { rows.spans[outputRow].upperBound }

  /// Makes one row of the result.
  ///
  /// - Parameters:
  ///   - outputRow: Which.
  ///   - held: The source's rows, at least `heldRowCount`.
  ///   - scratch: `scratchCount` sums.
  ///   - output: Takes `outputRowBytes`.
  func writeRow(
    _ outputRow: Int,
    from held: wdsfs_rows,
    scratch: UnsafeMutablePointer<Int16>,
    to output: UnsafeMutablePointer<UInt8>
  ) {
    let span = rows.spans[outputRow]
    let firstWeight = rows.firstWeights[outputRow]
    withUnsafePointer(to: held) { held in
      rows.weights.withUnsafeBufferPointer { weights in
        wdsfs_sum_rows(
          scratch,
          held,
          (usedColumns.lowerBound - heldColumns.lowerBound) * 3,
          span.lowerBound,
          weights.baseAddress.map { $0 + firstWeight },
          span.count,
          usedColumns.count * 3
        )
      }
    }
    wdsfs_sum_columns(scratch, pairs, pairWeights, outputColumnCount, output)
  }
}

/// Of which places of one dimension each place of the result is made, and how much of each.
private struct Taps {
  private(set) var spans: [Range<Int>] = []

  /// Each place's weights, one place's behind the other's.
  private(set) var weights: [Int32] = []

  /// Where each place's begin.
  private(set) var firstWeights: [Int] = []
  private(set) var maxCount = 0

  /// All places that any is made of; those between them too.
  private(set) var used = 0..<0

  /// The sum of a place's weights, as `resample.c` has it.
  private static let one = 16384.0

  /// - Parameters:
  ///   - count: Places that there are.
  ///   - length: How far the image reaches into them.
  ///   - resizedCount: How many places that length becomes.
  ///   - kept: Which of those are wanted.
  init(count: Int, length: Double, resizedCount: Int, kept: Range<Int>) {
    let scale = length / Double(resizedCount)
    let reach = max(1, scale)
    spans.reserveCapacity(kept.count)
    firstWeights.reserveCapacity(kept.count)
    weights.reserveCapacity(kept.count * (Int(2 * reach) + 2))
    for place in kept {
      let center = (Double(place) + 0.5) * scale
      let start = min(count - 1, max(0, Int(center - reach + 0.5)))
      let span = start..<max(start + 1, min(count, Int(center + reach + 0.5)))
      firstWeights.append(weights.count)
      appendWeights(of: span, center: center, reach: reach)
      spans.append(span)
      maxCount = max(maxCount, span.count)
    }
    // Both ends go forward only.
    used = (spans.first?.lowerBound ?? 0)..<(spans.last?.upperBound ?? 0)
  }

  /// Whole numbers, rounded so that what one lacks the next one gets: together they are always `one`.
  private mutating func appendWeights(of span: Range<Int>, center: Double, reach: Double) {
    func weight(_ place: Int) -> Double {
      max(0, 1 - abs((Double(place) - center + 0.5) / reach))
    }
    let sum = span.reduce(0) { $0 + weight($1) }
    var running = 0.0
    var given: Int32 = 0
    for place in span {
      // A place beyond all weight, by rounding, counts as it is.
      running += sum > 0 ? weight(place) / sum : 1 / Double(span.count)
      let wanted = Int32((running * Self.one).rounded())
      weights.append(wanted - given)
      given = wanted
    }
  }

  /// The same two by two, as `wdsfs_sum_columns` wants them; starts count from the first used place.
  var pairs: (places: [wdsfs_taps], weights: [Int32]) {
    var places: [wdsfs_taps] = []
    var pairWeights: [Int32] = []
    places.reserveCapacity(spans.count / 2 + 1)
    pairWeights.reserveCapacity(weights.count * 4 + 8 * maxCount)
    for first in stride(from: 0, to: spans.count, by: 2) {
      // The last one is its own neighbour.
      let second = min(first + 1, spans.count - 1)
      let count = max(spans[first].count, spans[second].count)
      places.append(
        wdsfs_taps(
          starts: (
            UInt32(spans[first].lowerBound - used.lowerBound),
            UInt32(spans[second].lowerBound - used.lowerBound)
          ),
          count: UInt32(count)
        )
      )
      for tap in 0..<count {
        for place in [first, second] {
          let weight = tap < spans[place].count ? weights[firstWeights[place] + tap] : 0
          for _ in 0..<4 { pairWeights.append(weight) }
        }
      }
    }
    return (places, pairWeights)
  }
}
