import CCompression

/// Bzip2 streams, by libbz2, which verifies the CRC of every block and of the whole.
final class Bzip2Decoder: FrameDecoder {
  /// On the heap, since libbz2 keeps a pointer to it.
  private let stream: UnsafeMutablePointer<bz_stream>
  private var isOpen = false

  init() {
    stream = .allocate(capacity: 1)
    stream.initialize(to: bz_stream())
  }

  deinit {
    if isOpen { BZ2_bzDecompressEnd(stream) }
    stream.deallocate()
  }

  /// Calls `BZ2_bzDecompressInit`, which has no reset.
  func begin() throws(DecompressionError) {
    if isOpen { BZ2_bzDecompressEnd(stream) }
    stream.pointee = bz_stream()
    isOpen = BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK
    guard isOpen else { throw .outOfMemory(format: .bzip2) }
  }

  /// Calls `BZ2_bzDecompress`.
  func step(
    _ input: UnsafeRawBufferPointer,
    into output: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> FrameStep {
    input.withMemoryRebound(to: CChar.self) { source in
      stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
    }
    stream.pointee.avail_in = input.boundedCount
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: CChar.self)
    stream.pointee.avail_out = UInt32(output.count)
    let status = BZ2_bzDecompress(stream)
    switch status {
    case BZ_OK, BZ_STREAM_END: break
    case BZ_MEM_ERROR: throw .outOfMemory(format: .bzip2)
    default: throw .corruptCompression(format: .bzip2, detail: "libbz2 status \(status)")
    }
    return FrameStep(
      consumed: Int(input.boundedCount - stream.pointee.avail_in),
      produced: output.count - Int(stream.pointee.avail_out),
      hasEnded: status == BZ_STREAM_END
    )
  }
}
