import Decompression
import TarIndex

/// Compressed shards: the output is bounded, and its tar is walked like any other.
enum CompressedTarget {
  private static let maxOutputBytes: Int64 = 1 << 20

  static func run(_ input: [UInt8]) {
    let content = input.prefix(ShardContent.decidingBytes).withUnsafeBytes {
      ShardContent.detect(firstBytes: $0)
    }
    _ = content.rejection
    // Few inputs begin with a mark by chance: their first byte says what they are read as.
    var formats: [CompressionFormat] = []
    if case .compressed(let format) = content { formats.append(format) }
    if formats.isEmpty, let first = input.first {
      let all = CompressionFormat.allCases
      formats.append(all[Int(first) % all.count])
    }
    for format in formats { decompress(input, format) }
  }

  private static func decompress(_ input: [UInt8], _ format: CompressionFormat) {
    guard let decompressor = try? Decompressor(format, maxOutputBytes: maxOutputBytes) else {
      return
    }
    var scanner = TarScanner(objectBytes: maxOutputBytes)
    var offset: Int64 = 0
    input.withUnsafeBytes { bytes in
      do throws(DecompressionError) {
        let middle = bytes.count / 2
        for part in [bytes[..<middle], bytes[middle...]] {
          try decompressor.decompress(UnsafeRawBufferPointer(rebasing: part)) { piece in
            if scanner.nextOffset < offset + Int64(piece.count), scanner.nextOffset >= offset {
              let skip = Int(scanner.nextOffset - offset)
              scanner.feed(UnsafeRawBufferPointer(rebasing: piece[skip...]), at: scanner.nextOffset)
            }
            offset += Int64(piece.count)
          }
        }
        try decompressor.finish()
      } catch {
        _ = "\(error)"
      }
    }
    hold(
      offset <= maxOutputBytes && decompressor.outputBytes <= maxOutputBytes,
      "more than allowed"
    )
    _ = scanner.snapshot()
  }
}
