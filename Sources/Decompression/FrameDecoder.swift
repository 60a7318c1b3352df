/// Decodes one gzip member, zstd or lz4 frame, bzip2 or xz stream at a time.
protocol FrameDecoder: AnyObject {
  /// Makes ready for the next one, from its first byte.
  func begin() throws(DecompressionError)

  /// Takes input and gives output, as far as either reaches.
  func step(
    _ input: UnsafeRawBufferPointer,
    into output: UnsafeMutableRawBufferPointer
  ) throws(DecompressionError) -> FrameStep
}

/// What one step did.
struct FrameStep {
  let consumed: Int
  let produced: Int

  /// Whether the member, frame or stream is over, its checksum verified.
  let hasEnded: Bool
}

extension UnsafeRawBufferPointer {
  /// The bytes as C libraries take them; they do not write to their input.
  var mutableBytes: UnsafeMutablePointer<UInt8>? {
    UnsafeMutablePointer(mutating: baseAddress?.assumingMemoryBound(to: UInt8.self))
  }

  /// Lengths are 32 bits wide in zlib and libbz2.
  var boundedCount: UInt32 { UInt32(Swift.min(count, 1 << 30)) }
}
