/// Brings rows of RGB to another size, as PIL's `BILINEAR` does: a triangle that widens with the
/// factor, so that every pixel of a larger image counts.
///
/// Rows come from top to bottom, and only as many are held as one row of the result is made of. The
/// sums are of floats: without wider vectors than every x86-64 has they are the quicker ones.
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
    rows.places[outputRow].start + rows.places[outputRow].count
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
    let count = usedColumns.count * 3
    let offset = usedColumns.lowerBound * 3
    rows.weights.withUnsafeBufferPointer { weights in
      var tap = 0
      while tap < place.count {
        let first = held + (place.start + tap) % heldCount * rowBytes + offset
        let weight = weights[place.weights + tap]
        if tap + 1 < place.count {
          let second = held + (place.start + tap + 1) % heldCount * rowBytes + offset
          let other = weights[place.weights + tap + 1]
          if tap == 0 {
            for i in 0..<count { scratch[i] = weight * Float(first[i]) + other * Float(second[i]) }
          } else {
            for i in 0..<count {
              scratch[i] += weight * Float(first[i]) + other * Float(second[i])
            }
          }
        } else if tap == 0 {
          for i in 0..<count { scratch[i] = weight * Float(first[i]) }
        } else {
          for i in 0..<count { scratch[i] += weight * Float(first[i]) }
        }
        tap += 2
      }
    }
    writeColumns(scratch, to: output)
  }

  /// Sums up along a row; four floats are taken where three count.
  private func writeColumns(
    _ source: UnsafeMutablePointer<Float>,
    to output: UnsafeMutablePointer<UInt8>
  ) {
    let raw = UnsafeRawPointer(source)
    let first = usedColumns.lowerBound
    columns.weights.withUnsafeBufferPointer { weights in
      columns.places.withUnsafeBufferPointer { places in
        var target = output
        for place in places {
          var sum = SIMD4<Float>(repeating: 0.5)
          var pixel = raw + (place.start - first) * 12
          for tap in 0..<place.count {
            sum += pixel.loadUnaligned(as: SIMD4<Float>.self) * weights[place.weights + tap]
            pixel += 12
          }
          sum.clamp(lowerBound: SIMD4(repeating: 0), upperBound: SIMD4(repeating: 255.5))
          target[0] = UInt8(truncatingIfNeeded: Int32(sum.x))
          target[1] = UInt8(truncatingIfNeeded: Int32(sum.y))
          target[2] = UInt8(truncatingIfNeeded: Int32(sum.z))
          target += 3
        }
      }
    }
  }
}

/// Of which places of one dimension each place of the result is made, and how much of each.
private struct Taps {
  struct Place {
    var start: Int
    var count: Int

    /// Where its weights begin.
    var weights: Int
  }

  var places: [Place] = []
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
    places.reserveCapacity(kept.count)
    for place in kept {
      let center = (Double(place) + 0.5) * scale
      let start = min(count - 1, max(0, Int(center - reach + 0.5)))
      let end = max(start + 1, min(count, Int(center + reach + 0.5)))
      let own = (start..<end).map { max(0, 1 - abs((Double($0) - center + 0.5) / reach)) }
      let sum = own.reduce(0, +)
      places.append(Place(start: start, count: end - start, weights: weights.count))
      // A place beyond all weight, by rounding, counts as it is.
      weights += own.map { Float(sum > 0 ? $0 / sum : 1 / Double(end - start)) }
      maxCount = max(maxCount, end - start)
    }
    let first = places.map(\.start).min() ?? 0
    used = first..<(places.map { $0.start + $0.count }.max() ?? first)
  }
}
