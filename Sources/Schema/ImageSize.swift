/// The size that an image is brought to, as torchvision's `Resize` and `CenterCrop` do it.
package enum ImageSize: Hashable, Sendable {
  /// Resized until it just covers width and height, and cut to them around its centre.
  case exact(width: Int, height: Int)

  /// Resized until its shorter edge has so many pixels.
  case short(Int)

  /// Larger arrays are no training input, and would cost gigabytes each.
  package static let maxEdge = 8192

  init(parsing text: String) throws(SchemaError) {
    func edge(_ digits: Substring) throws(SchemaError) -> Int {
      guard let number = Int(digits), digits.first != "+", (1...Self.maxEdge).contains(number)
      else { throw .badImageSize(text) }
      return number
    }
    if text.hasPrefix("short=") {
      self = .short(try edge(text.dropFirst("short=".count)))
      return
    }
    let parts = text.split(separator: "x", omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw .badImageSize(text) }
    self = .exact(width: try edge(parts[0]), height: try edge(parts[1]))
  }

  /// How an image of a given size becomes one of this.
  ///
  /// The resized edges are cut off to whole pixels, and the crop's corner is rounded to even, both as
  /// torchvision does.
  ///
  /// - Returns: The size of the whole resized image, and the part of it that is kept; nil where the
  ///   resized image would be larger than any that is decoded.
  func plan(width: Int, height: Int) -> ResizePlan? {
    guard width > 0, height > 0 else { return nil }
    switch self {
    case .short(let edge):
      let short = min(width, height)
      let (long, isOver) = edge.multipliedReportingOverflow(by: max(width, height))
      guard !isOver, long / short <= ImageLimits.maxEdge else { return nil }
      let other = max(1, long / short)
      let (newWidth, newHeight) = width <= height ? (edge, other) : (other, edge)
      guard newWidth * newHeight <= ImageLimits.maxPixelCount else { return nil }
      return ResizePlan(
        width: newWidth,
        height: newHeight,
        columns: 0..<newWidth,
        rows: 0..<newHeight
      )
    case .exact(let wantedWidth, let wantedHeight):
      // Whichever edge needs the larger factor decides.
      let isByWidth = wantedWidth * height >= wantedHeight * width
      var (newWidth, newHeight) = (wantedWidth, wantedHeight)
      if isByWidth {
        newHeight = max(wantedHeight, wantedWidth * height / width)
      } else {
        newWidth = max(wantedWidth, wantedHeight * width / height)
      }
      let left = Self.halfRoundedToEven(newWidth - wantedWidth)
      let top = Self.halfRoundedToEven(newHeight - wantedHeight)
      return ResizePlan(
        width: newWidth,
        height: newHeight,
        columns: left..<left + wantedWidth,
        rows: top..<top + wantedHeight
      )
    }
  }

  private static func halfRoundedToEven(_ number: Int) -> Int {
    let half = number / 2
    return number % 2 == 0 ? half : half + half % 2
  }
}

/// A resized image, and the part of it that is kept.
struct ResizePlan: Hashable, Sendable {
  let width: Int
  let height: Int
  let columns: Range<Int>
  let rows: Range<Int>
}

/// What an image may be before anything is allocated for it.
package enum ImageLimits {
  /// As many as JPEG can have.
  static let maxEdge = 65_535

  /// 64 Mi pixels are 192 MiB as RGB.
  package static let maxPixelCount = 64 << 20
}
