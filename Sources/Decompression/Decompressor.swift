/// Decompresses one shard, piece by piece.
///
/// All members, frames or streams of the object are read, one after the other, and their checksums
/// are verified. Zero bytes between or after them are padding; other bytes that begin no further one
/// end the stream with `hasTrailingData`. Not for several threads at once.
package final class Decompressor {
  /// The largest window that a stream may ask for.
  package static let maxWindowBytes = 128 << 20

  /// Bytes handed out so far.
  package private(set) var outputBytes: Int64 = 0

  /// Whether something that is no compressed data followed the last member, frame or stream.
  package private(set) var hasTrailingData = false

  private let format: CompressionFormat
  private let maxOutputBytes: Int64
  private let decoder: any FrameDecoder
  private let buffer: UnsafeMutableRawBufferPointer
  private var phase = Phase.between
  private var hasBegun = false

  /// What came of the next mark, and room for all of it.
  private let markBuffer: UnsafeMutableRawBufferPointer
  private var markBytes = 0
  private var failure: DecompressionError?

  private enum Phase {
    /// Before a member, frame or stream, or after the last.
    case between
    case inside

    /// Behind the last one; what comes is not looked at.
    case trailing
  }

  /// - Parameters:
  ///   - format: What the object's first bytes say.
  ///   - maxOutputBytes: More output than that is an error.
  /// - Throws: `.outOfMemory`.
  package init(
    _ format: CompressionFormat,
    maxOutputBytes: Int64
  ) throws(DecompressionError) {
    self.format = format
    self.maxOutputBytes = maxOutputBytes
    decoder =
      switch format {
      case .gzip: try GzipDecoder()
      case .zstd: try ZstdDecoder()
      case .bzip2: Bzip2Decoder()
      case .xz: XZDecoder()
      case .lz4: try LZ4Decoder()
      }
    // Two pipes' worth: large enough that a call's cost does not show, small enough for the cache.
    buffer = .allocate(byteCount: 128 * 1024, alignment: 16)
    markBuffer = .allocate(byteCount: CompressionFormat.maxMarkBytes, alignment: 1)
  }

  deinit {
    buffer.deallocate()
    markBuffer.deallocate()
  }

  /// Takes the next bytes of the object and hands out what they give, in pieces of at most 128 KiB.
  ///
  /// - Parameters:
  ///   - input: Of any length.
  ///   - output: Gets each piece, valid during the call only. What it throws ends everything.
  /// - Throws: `DecompressionError`, and the same again on every later call.
  package func decompress(
    _ input: UnsafeRawBufferPointer,
    output: (UnsafeRawBufferPointer) throws(DecompressionError) -> Void
  ) throws(DecompressionError) {
    try remembering { () throws(DecompressionError) in
      var rest = input[...]
      while !rest.isEmpty {
        switch phase {
        case .trailing: return
        case .between: try takeMark(&rest, output: output)
        case .inside: try takeInside(&rest, output: output)
        }
      }
    }
  }

  /// Says that the object has ended.
  ///
  /// - Throws: `.corruptCompression` where it ended within a member, frame or stream.
  package func finish() throws(DecompressionError) {
    try remembering { () throws(DecompressionError) in
      if case .inside = phase { throw corrupt("the data ends early") }
      guard hasBegun, markBytes == 0 else { throw corrupt("the data ends early") }
    }
  }

  private func remembering(
    _ body: () throws(DecompressionError) -> Void
  ) throws(DecompressionError) {
    if let failure { throw failure }
    do {
      try body()
    } catch {
      failure = error
      throw error
    }
  }

  // MARK: Members, frames, streams

  /// Looks for the mark of the next member, byte by byte, since it may come in parts.
  private func takeMark(
    _ rest: inout Slice<UnsafeRawBufferPointer>,
    output: (UnsafeRawBufferPointer) throws(DecompressionError) -> Void
  ) throws(DecompressionError) {
    guard let byte = rest.first else { return }
    if markBytes == 0, byte == 0, hasBegun {
      rest = rest.drop { $0 == 0 }
      return
    }
    rest = rest.dropFirst()
    markBuffer[markBytes] = byte
    markBytes += 1
    let mark = UnsafeRawBufferPointer(rebasing: markBuffer[..<markBytes])
    let candidates = format.marks.filter { $0.starts(with: mark) }
    guard let candidate = candidates.first else {
      guard hasBegun else { throw corrupt("it does not begin as such data does") }
      hasTrailingData = true
      markBytes = 0
      phase = .trailing
      return
    }
    // No mark is the beginning of another.
    guard candidate.count == mark.count else { return }
    try decoder.begin()
    hasBegun = true
    phase = .inside
    markBytes = 0
    var all = mark[...]
    try takeInside(&all, output: output)
  }

  private func takeInside(
    _ rest: inout Slice<UnsafeRawBufferPointer>,
    output: (UnsafeRawBufferPointer) throws(DecompressionError) -> Void
  ) throws(DecompressionError) {
    while true {
      let step = try decoder.step(UnsafeRawBufferPointer(rebasing: rest), into: buffer)
      rest = rest.dropFirst(step.consumed)
      if step.produced > 0 {
        guard Int64(step.produced) <= maxOutputBytes - outputBytes else {
          throw .decompressedTooLarge(format: format, detail: "more than \(maxOutputBytes) bytes")
        }
        outputBytes += Int64(step.produced)
        try output(UnsafeRawBufferPointer(rebasing: buffer[..<step.produced]))
      }
      if step.hasEnded {
        phase = .between
        return
      }
      // A full buffer may mean that the decoder holds more, also when the input is used up.
      if step.produced == buffer.count { continue }
      if rest.isEmpty { return }
      guard step.consumed > 0 || step.produced > 0 else { throw corrupt("no progress") }
    }
  }

  private func corrupt(_ detail: String) -> DecompressionError {
    .corruptCompression(format: format, detail: detail)
  }
}
