import CImage

/// JPEG, PNG and WebP to arrays of RGB: `|u1`, height by width by 3.
///
/// As PIL's `Image.open(f).convert("RGB")` gives them: grey becomes three equal colours, alpha is
/// dropped, of 16 bits the high byte stays, inks are mixed, and EXIF's orientation is left alone.
enum ImageDecoder {
  enum Kind {
    case jpeg, png, webp

    /// Tells an image by its first bytes, whatever its name is.
    init?(_ bytes: UnsafeRawBufferPointer) {
      if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
        self = .jpeg
      } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
        self = .png
      } else if bytes.count >= 12, bytes.starts(with: "RIFF".utf8),
        bytes[8..<12].elementsEqual("WEBP".utf8)
      {
        self = .webp
      } else {
        return nil
      }
    }
  }

  /// Decodes an image, and brings it to a size where one is given.
  ///
  /// - Returns: A `.npy` file.
  static func array(
    _ kind: Kind,
    _ bytes: UnsafeRawBufferPointer,
    _ size: ImageSize?,
    maxBytes: Int
  ) throws(DecodeError) -> [UInt8] {
    switch kind {
    case .jpeg: try JPEGDecoder.array(bytes, size, maxBytes: maxBytes)
    case .png: try png(bytes, size, maxBytes: maxBytes)
    case .webp: try webp(bytes, size, maxBytes: maxBytes)
    }
  }

  private static func png(
    _ bytes: UnsafeRawBufferPointer,
    _ size: ImageSize?,
    maxBytes: Int
  ) throws(DecodeError) -> [UInt8] {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var found = wdsfs_image_size()
    try ImageMessage.check { wdsfs_png_size(start, bytes.count, &found, $0) }
    return try whole(Int(found.width), Int(found.height), size, maxBytes: maxBytes) {
      rows throws(DecodeError) in
      try ImageMessage.check { wdsfs_png_decode(start, bytes.count, found, rows, $0) }
    }
  }

  private static func webp(
    _ bytes: UnsafeRawBufferPointer,
    _ size: ImageSize?,
    maxBytes: Int
  ) throws(DecodeError) -> [UInt8] {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var width: Int32 = 0
    var height: Int32 = 0
    guard WebPGetInfo(start, bytes.count, &width, &height) != 0 else {
      throw .notReadable("it is no WebP image that can be read")
    }
    return try whole(Int(width), Int(height), size, maxBytes: maxBytes) {
      rows throws(DecodeError) in
      let rowBytes = width * 3
      let allBytes = Int(rowBytes) * Int(height)
      guard WebPDecodeRGBInto(start, bytes.count, rows, allBytes, rowBytes) != nil else {
        throw .notReadable("its WebP data are damaged, or animated")
      }
    }
  }

  /// Decodes an image whole, then brings it to its size.
  private static func whole(
    _ width: Int,
    _ height: Int,
    _ size: ImageSize?,
    maxBytes: Int,
    _ decode: (UnsafeMutablePointer<UInt8>) throws(DecodeError) -> Void
  ) throws(DecodeError) -> [UInt8] {
    var array = try ImageArray(width, height, size, maxBytes: maxBytes)
    guard let plan = array.plan else {
      try array.withRows(decode)
      return array.bytes
    }
    let resampling = Resampling(
      width: width,
      height: height,
      imageWidth: Double(width),
      imageHeight: Double(height),
      plan
    )
    let pixelBytes = width * height * 3
    let pixels = UnsafeMutablePointer<UInt8>.allocate(
      capacity: pixelBytes + Resampling.paddingBytes
    )
    (pixels + pixelBytes).initialize(repeating: 0, count: Resampling.paddingBytes)
    defer { pixels.deallocate() }
    try decode(pixels)
    let held = wdsfs_rows(bytes: pixels, stride: width * 3, count: height)
    let scratch = UnsafeMutablePointer<Int16>.allocate(capacity: resampling.scratchCount)
    scratch.initialize(repeating: 0, count: resampling.scratchCount)
    defer { scratch.deallocate() }
    try array.withRows { rows throws(DecodeError) in
      for row in 0..<resampling.outputRowCount {
        let target = rows + row * resampling.outputRowBytes
        resampling.writeRow(row, from: held, scratch: scratch, to: target)
      }
    }
    return array.bytes
  }
}

/// A `.npy` file of an image, with room for its rows.
struct ImageArray {
  private(set) var bytes: [UInt8]

  /// How the image is resized; nil where it is not.
  let plan: ResizePlan?
  private let headerBytes: Int

  /// - Throws: `.tooLarge`, before anything is allocated.
  init(_ width: Int, _ height: Int, _ size: ImageSize?, maxBytes: Int) throws(DecodeError) {
    guard width > 0, height > 0 else { throw .notReadable("an image without pixels") }
    guard max(width, height) <= ImageLimits.maxEdge, width * height <= ImageLimits.maxPixelCount
    else {
      throw .tooLarge(
        "\(width) x \(height) pixels are more than \(ImageLimits.maxPixelCount >> 20) Mi"
      )
    }
    plan = size?.plan(width: width, height: height)
    guard size == nil || plan != nil else {
      throw .tooLarge("\(width) x \(height) pixels would grow beyond every limit")
    }
    let shownWidth = plan?.columns.count ?? width
    let shownHeight = plan?.rows.count ?? height
    let count = shownWidth * shownHeight * 3
    let header = ArrayHeader(type: .uint8, shape: [shownHeight, shownWidth, 3]).bytes
    guard count <= maxBytes - header.count else {
      throw .tooLarge("the array takes \(count) bytes, more than \(maxBytes); see --cache-size")
    }
    headerBytes = header.count
    bytes = [UInt8](unsafeUninitializedCapacity: header.count + count) { buffer, used in
      // The rows are written whole, or the array is given to nobody.
      _ = buffer.initialize(from: header)
      used = header.count + count
    }
  }

  /// Shows the body the rows, one behind the other.
  mutating func withRows(
    _ body: (UnsafeMutablePointer<UInt8>) throws(DecodeError) -> Void
  ) throws(DecodeError) {
    let headerBytes = headerBytes
    let result = bytes.withUnsafeMutableBufferPointer { buffer in
      Result { () throws(DecodeError) in
        guard let start = buffer.baseAddress else { return }
        try body(start + headerBytes)
      }
    }
    try result.get()
  }
}

/// What a C library says of what it cannot read.
enum ImageMessage {
  /// Calls the body with room for a message, and throws that where it returns anything but 0.
  static func check(
    _ body: (UnsafeMutablePointer<CChar>?) -> Int32
  ) throws(DecodeError) {
    let text = withText { message in body(message) == 0 }
    if let text { throw .notReadable(text) }
  }

  /// Calls the body with room for a message, and returns what it has left there if it returns false.
  static func withText(_ body: (UnsafeMutablePointer<CChar>?) -> Bool) -> String? {
    let count = Int(wdsfs_image_message_bytes)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: count) { buffer in
      buffer[0] = 0
      if body(buffer.baseAddress) { return nil }
      buffer[count - 1] = 0
      let text = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      return String(decoding: text, as: UTF8.self)
    }
  }
}
