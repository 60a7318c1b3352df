import CCompression

/// Gzip members, by zlib, which verifies CRC-32 and length.
final class GzipDecoder: FrameDecoder {
  /// On the heap, since zlib keeps a pointer to it.
  private let stream: UnsafeMutablePointer<z_stream>

  /// Calls `inflateInit2`.
  init() throws(DecompressionError) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    guard wdsfs_inflate_init_gzip(stream) == Z_OK else { throw .outOfMemory(format: .gzip) }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Calls `inflateReset`.
  func begin() throws(DecompressionError) {
    guard inflateReset(stream) == Z_OK else {
      throw .corruptCompression(format: .gzip, detail: "state")
    }
  }

  /// Calls `inflate`.
  func step(
    _ input: UnsafeRawBufferPointer,
    into output: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> FrameStep {
    stream.pointee.next_in = input.mutableBytes
    stream.pointee.avail_in = input.boundedCount
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(output.count)
    let status = inflate(stream, Z_NO_FLUSH)
    switch status {
    // A buffer error says that nothing could be done, which the caller sees for itself.
    case Z_OK, Z_STREAM_END, Z_BUF_ERROR: break
    case Z_MEM_ERROR: throw .outOfMemory(format: .gzip)
    default:
      let detail = stream.pointee.msg.map { String(cString: $0) } ?? "zlib status \(status)"
      throw .corruptCompression(format: .gzip, detail: detail)
    }
    return FrameStep(
      consumed: Int(input.boundedCount - stream.pointee.avail_in),
      produced: output.count - Int(stream.pointee.avail_out),
      hasEnded: status == Z_STREAM_END
    )
  }
}
