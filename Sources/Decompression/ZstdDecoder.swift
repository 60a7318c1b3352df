import CCompression

/// Zstd frames, skippable ones too, by libzstd, which verifies the content checksum.
final class ZstdDecoder: FrameDecoder {
  private let context: OpaquePointer

  /// Calls `ZSTD_createDCtx`.
  init() throws(DecompressionError) {
    guard let context = ZSTD_createDCtx() else { throw .outOfMemory(format: .zstd) }
    self.context = context
    // 2^27 bytes are 128 MiB.
    _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27)
  }

  deinit {
    ZSTD_freeDCtx(context)
  }

  /// Calls `ZSTD_DCtx_reset`.
  func begin() throws(DecompressionError) {
    _ = ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
  }

  /// Calls `ZSTD_decompressStream`.
  func step(
    _ input: UnsafeRawBufferPointer,
    into output: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> FrameStep {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let status = ZSTD_decompressStream(context, &target, &source)
    guard ZSTD_isError(status) == 0 else {
      let detail = String(cString: ZSTD_getErrorName(status))
      switch ZSTD_getErrorCode(status) {
      case ZSTD_error_frameParameter_windowTooLarge:
        throw .decompressedTooLarge(format: .zstd, detail: "a window of more than 128 MiB")
      case ZSTD_error_memory_allocation: throw .outOfMemory(format: .zstd)
      default: throw .corruptCompression(format: .zstd, detail: detail)
      }
    }
    return FrameStep(consumed: source.pos, produced: target.pos, hasEnded: status == 0)
  }
}
