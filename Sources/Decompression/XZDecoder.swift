import CCompression

/// Xz streams, by liblzma, which verifies the check that a stream has.
final class XZDecoder: FrameDecoder {
  /// A window of 128 MiB and what the decoder needs beside it; the next size of window is 192 MiB.
  private static let maxMemoryBytes = UInt64(Decompressor.maxWindowBytes) + 1 << 20

  /// On the heap, since liblzma keeps a pointer to it.
  private let stream: UnsafeMutablePointer<lzma_stream>

  init() {
    stream = .allocate(capacity: 1)
    // All zero, as `LZMA_STREAM_INIT` is.
    stream.initialize(to: lzma_stream())
  }

  deinit {
    lzma_end(stream)
    stream.deallocate()
  }

  /// Calls `lzma_stream_decoder`, which may be called again on a used stream.
  func begin() throws(DecompressionError) {
    let flags = wdsfs_lzma_tell_unsupported_check
    guard lzma_stream_decoder(stream, Self.maxMemoryBytes, flags) == LZMA_OK else {
      throw .outOfMemory(format: .xz)
    }
  }

  /// Calls `lzma_code`.
  func step(
    _ input: UnsafeRawBufferPointer,
    into output: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> FrameStep {
    stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = input.count
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = output.count
    let status = lzma_code(stream, LZMA_RUN)
    switch status {
    // A buffer error says that nothing could be done, which the caller sees for itself.
    case LZMA_OK, LZMA_STREAM_END, LZMA_BUF_ERROR: break
    case LZMA_MEM_ERROR: throw .outOfMemory(format: .xz)
    case LZMA_MEMLIMIT_ERROR:
      throw .decompressedTooLarge(format: .xz, detail: "a window of more than 128 MiB")
    case LZMA_UNSUPPORTED_CHECK:
      throw .corruptCompression(format: .xz, detail: "a check that cannot be verified")
    default:
      throw .corruptCompression(format: .xz, detail: "liblzma status \(status.rawValue)")
    }
    return FrameStep(
      consumed: input.count - stream.pointee.avail_in,
      produced: output.count - stream.pointee.avail_out,
      hasEnded: status == LZMA_STREAM_END
    )
  }
}
