import CImage

/// Brings rows of RGB to another size, as PIL's `BILINEAR` does: a triangle that widens with the
/// factor, so that every pixel of a larger image counts.
///
/// Rows come from top to bottom, and only as many are held as one row of the result is made of. The
/// sums are made in C, whose compiler makes vectors of them as wide as the machine has.
struct Resampling {
  private let columns: Taps
  private let rows: Taps

  /// The source's columns that count at all.
  private let usedColumns: Range<Int>

  /// Bytes of a source row.
  let rowBytes: Int

  /// Bytes of a row of the result.
  let outputRowBytes: Int

  /// So many rows of the source must be at hand at once.
  let heldRowCount: Int

  /// - Parameters:
  ///   - width: Of the source, in pixels.
  ///   - height: Of the source, in pixels.
  ///   - imageWidth: The image's width in pixels of the source, which may end within the last.
  ///   - imageHeight: Its height, as well.
  ///   - plan: What it becomes.
  init(width: Int, height: Int, imageWidth: Double, imageHeight: Double, _ plan: ResizePlan) {
    columns = Taps(
      count: width,
      length: imageWidth,
      resizedCount: plan.width,
      kept: plan.columns
    )
    rows = Taps(count: height, length: imageHeight, resizedCount: plan.height, kept: plan.rows)
    usedColumns = columns.used
    rowBytes = width * 3
    outputRowBytes = plan.columns.count * 3
    heldRowCount = max(1, min(height, rows.maxCount + 1))
  }

  /// The rows of the source that count at all.
  var usedRows: Range<Int> { rows.used }

  /// Rows of the result.
  var outputRowCount: Int { rows.places.count }

  /// The end of the source rows that a row of the result is made of.
  func lastRow(of outputRow: Int) -> Int {
    rows.used.lowerBound + Int(rows.places[outputRow].start + rows.places[outputRow].count)
  }

  /// Floats that `writeRow` wants to work in.
  var scratchCount: Int { usedColumns.count * 3 + 4 }

  /// Makes one row of the result.
  ///
  /// - Parameters:
  ///   - outputRow: Which.
  ///   - held: The source's rows, row `n` in place `n % heldCount`.
  ///   - heldCount: At least `heldRowCount`.
  ///   - scratch: `scratchCount` floats.
  ///   - output: Takes `outputRowBytes`.
  func writeRow(
    _ outputRow: Int,
    from held: UnsafePointer<UInt8>,
    heldCount: Int,
    scratch: UnsafeMutablePointer<Float>,
    to output: UnsafeMutablePointer<UInt8>
  ) {
    let place = rows.places[outputRow]
    let start = rows.used.lowerBound + Int(place.start)
    let offset = usedColumns.lowerBound * 3
    for tap in stride(from: 0, to: Int(place.count), by: 2) {
      let hasOther = tap + 1 < Int(place.count)
      let weight = Int(place.weights) + tap
      let other = hasOther ? tap + 1 : tap
      wdsfs_sum_rows(
        scratch,
        held + (start + tap) % heldCount * rowBytes + offset,
        rows.weights[weight],
        held + (start + other) % heldCount * rowBytes + offset,
        hasOther ? rows.weights[weight + 1] : 0,
        usedColumns.count * 3,
        tap == 0 ? 1 : 0
      )
    }
    wdsfs_sum_columns(scratch, columns.places, columns.weights, columns.places.count, output)
  }
}

/// Of which places of one dimension each place of the result is made, and how much of each.
private struct Taps {
  /// Starts count from the first place that is used.
  var places: [wdsfs_taps] = []
  var weights: [Float] = []
  var maxCount = 0
  var used = 0..<0

  /// - Parameters:
  ///   - count: Places that there are.
  ///   - length: How far the image reaches into them.
  ///   - resizedCount: How many places that length becomes.
  ///   - kept: Which of those are wanted.
  init(count: Int, length: Double, resizedCount: Int, kept: Range<Int>) {
    let scale = length / Double(resizedCount)
    let reach = max(1, scale)
    var spans: [Range<Int>] = []
    for place in kept {
      let center = (Double(place) + 0.5) * scale
      let start = min(count - 1, max(0, Int(center - reach + 0.5)))
      let end = max(start + 1, min(count, Int(center + reach + 0.5)))
      let own = (start..<end).map { max(0, 1 - abs((Double($0) - center + 0.5) / reach)) }
      let sum = own.reduce(0, +)
      spans.append(start..<end)
      // A place beyond all weight, by rounding, counts as it is.
      weights += own.map { Float(sum > 0 ? $0 / sum : 1 / Double(end - start)) }
      maxCount = max(maxCount, end - start)
    }
    let first = spans.map(\.lowerBound).min() ?? 0
    used = first..<(spans.map(\.upperBound).max() ?? first)
    var weightCount = 0
    places = spans.map { span in
      defer { weightCount += span.count }
      return wdsfs_taps(
        start: UInt32(span.lowerBound - first),
        count: UInt32(span.count),
        weights: UInt32(weightCount)
      )
    }
  }
}
