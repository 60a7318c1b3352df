package import TarIndex

/// Why a compressed shard could not be read; nothing of it is used then.
package enum DecompressionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The stream is damaged, ends early, or does not fit its checksum.
  case corruptCompression(format: CompressionFormat, detail: String)

  /// More came out than was allowed, or would need a window of more than 128 MiB.
  case decompressedTooLarge(format: CompressionFormat, detail: String)

  /// The machine has no memory for the decompressor; says nothing of the shard.
  case outOfMemory(format: CompressionFormat)

  /// The caller wanted no more output.
  case stopped

  /// The error class of the shard; nil where the shard is not to blame.
  package var errorClass: TarErrorClass? {
    switch self {
    case .corruptCompression: .corruptCompression
    case .decompressedTooLarge: .decompressedTooLarge
    case .outOfMemory, .stopped: nil
    }
  }

  package var description: String {
    switch self {
    case .corruptCompression(let format, let detail): "corrupt \(format.rawValue) data: \(detail)"
    case .decompressedTooLarge(let format, let detail):
      "\(format.rawValue) data too large to decompress: \(detail)"
    case .outOfMemory(let format): "no memory to decompress \(format.rawValue) data"
    case .stopped: "decompression stopped by its caller"
    }
  }
}
