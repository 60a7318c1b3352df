import CCompression

/// Lz4 frames, skippable ones too, by liblz4, which verifies the checksums that a frame has.
final class LZ4Decoder: FrameDecoder {
  private let context: OpaquePointer

  /// Calls `LZ4F_createDecompressionContext`.
  init() throws(DecompressionError) {
    var created: OpaquePointer?
    _ = LZ4F_createDecompressionContext(&created, UInt32(LZ4F_VERSION))
    guard let created else { throw .outOfMemory(format: .lz4) }
    context = created
  }

  deinit {
    LZ4F_freeDecompressionContext(context)
  }

  /// Calls `LZ4F_resetDecompressionContext`.
  func begin() throws(DecompressionError) {
    LZ4F_resetDecompressionContext(context)
  }

  /// Calls `LZ4F_decompress`.
  func step(
    _ input: UnsafeRawBufferPointer,
    into output: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> FrameStep {
    var consumed = input.count
    var produced = output.count
    let status = LZ4F_decompress(
      context,
      output.baseAddress,
      &produced,
      input.baseAddress,
      &consumed,
      nil
    )
    guard LZ4F_isError(status) == 0 else {
      let detail = String(cString: LZ4F_getErrorName(status))
      throw .corruptCompression(format: .lz4, detail: detail)
    }
    return FrameStep(consumed: consumed, produced: produced, hasEnded: status == 0)
  }
}
