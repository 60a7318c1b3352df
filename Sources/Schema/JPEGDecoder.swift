import CImage

/// JPEG to arrays, row by row: of an image that is made smaller only the rows that are at work are
/// held, and libjpeg decodes it to no more eighths of its size than are needed.
enum JPEGDecoder {
  static func array(
    _ bytes: UnsafeRawBufferPointer,
    _ size: ImageSize?,
    maxBytes: Int
  ) throws(DecodeError) -> [UInt8] {
    let jpeg = try OpenJPEG(bytes)
    let (width, height) = (Int(jpeg.size.width), Int(jpeg.size.height))
    var array = try ImageArray(width, height, size, maxBytes: maxBytes)
    guard let plan = array.plan else {
      _ = try jpeg.start(eighths: 8)
      try array.withRows { rows throws(DecodeError) in
        try jpeg.read(height, to: rows, rowBytes: width * 3)
      }
      return array.bytes
    }
    let eighths = eighths(of: width, height, for: plan)
    let scaled = try jpeg.start(eighths: eighths)
    var resampling = Resampling(
      width: Int(scaled.width),
      height: Int(scaled.height),
      imageWidth: Double(width * eighths) / 8,
      imageHeight: Double(height * eighths) / 8,
      plan
    )
    resampling.hold(columns: try jpeg.crop(to: resampling.usedColumns))
    try array.withRows { [resampling] rows throws(DecodeError) in
      try resize(jpeg, resampling, to: rows)
    }
    return array.bytes
  }

  /// The fewest eighths that give no fewer pixels than are wanted.
  ///
  /// Only the sizes for which libjpeg-turbo has vector code: the others cost more than they save.
  private static func eighths(of width: Int, _ height: Int, for plan: ResizePlan) -> Int {
    for eighths in [1, 2, 4]
    where (width * eighths) / 8 >= plan.width && (height * eighths) / 8 >= plan.height {
      return eighths
    }
    return 8
  }

  private static func resize(
    _ jpeg: borrowing OpenJPEG,
    _ resampling: Resampling,
    to rows: UnsafeMutablePointer<UInt8>
  ) throws(DecodeError) {
    let heldCount = resampling.heldRowCount
    let stride = resampling.rowBytes + Resampling.paddingBytes
    let held = UnsafeMutablePointer<UInt8>.allocate(capacity: heldCount * stride)
    held.initialize(repeating: 0, count: heldCount * stride)
    defer { held.deallocate() }
    let ring = wdsfs_rows(bytes: held, stride: stride, count: heldCount)
    let scratch = UnsafeMutablePointer<Int16>.allocate(capacity: resampling.scratchCount)
    scratch.initialize(repeating: 0, count: resampling.scratchCount)
    defer { scratch.deallocate() }
    var next = resampling.usedRows.lowerBound
    if next > 0 { try jpeg.skip(next) }
    for row in 0..<resampling.outputRowCount {
      let end = resampling.lastRow(of: row)
      while next < end {
        let place = next % heldCount
        let count = min(end - next, heldCount - place)
        try jpeg.read(count, to: held + place * stride, rowBytes: stride)
        next += count
      }
      let target = rows + row * resampling.outputRowBytes
      resampling.writeRow(row, from: ring, scratch: scratch, to: target)
    }
  }
}

/// A JPEG that libjpeg reads; its bytes must stay meanwhile.
private struct OpenJPEG: ~Copyable {
  let size: wdsfs_image_size
  private let pointer: OpaquePointer

  /// Calls `jpeg_read_header`.
  init(_ bytes: UnsafeRawBufferPointer) throws(DecodeError) {
    var size = wdsfs_image_size()
    var pointer: OpaquePointer?
    let text = ImageMessage.withText { message in
      let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      pointer = wdsfs_jpeg_open(start, bytes.count, &size, message)
      return pointer != nil
    }
    guard let pointer else { throw .notReadable(text ?? "") }
    self.pointer = pointer
    self.size = size
  }

  deinit {
    wdsfs_jpeg_close(pointer)
  }

  /// Calls `jpeg_start_decompress`; returns the size that it gives.
  func start(eighths: Int) throws(DecodeError) -> wdsfs_image_size {
    var scaled = wdsfs_image_size()
    try ImageMessage.check { wdsfs_jpeg_start(pointer, Int32(eighths), &scaled, $0) }
    return scaled
  }

  /// Calls `jpeg_crop_scanline`; returns the columns that rows will hold, those that are wanted among
  /// them.
  func crop(to columns: Range<Int>) throws(DecodeError) -> Range<Int> {
    var first = UInt32(columns.lowerBound)
    var count = UInt32(columns.count)
    try ImageMessage.check { wdsfs_jpeg_crop(pointer, &first, &count, $0) }
    return Int(first)..<Int(first) + Int(count)
  }

  /// Calls `jpeg_skip_scanlines`.
  func skip(_ rowCount: Int) throws(DecodeError) {
    try ImageMessage.check { wdsfs_jpeg_skip(pointer, UInt32(rowCount), $0) }
  }

  /// Calls `jpeg_read_scanlines` for each of some rows.
  func read(
    _ rowCount: Int,
    to rows: UnsafeMutablePointer<UInt8>,
    rowBytes: Int
  ) throws(DecodeError) {
    try ImageMessage.check { wdsfs_jpeg_rows(pointer, rows, rowBytes, UInt32(rowCount), $0) }
  }
}
