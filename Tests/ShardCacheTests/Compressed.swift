import CCompression
import Decompression
import Testing

/// Compresses by the libraries that the cache reads with.
enum Compressed {
  static func bytes(_ plain: [UInt8], _ format: CompressionFormat) throws -> [UInt8] {
    var output = [UInt8](repeating: 0, count: plain.count + plain.count / 8 + 65_536)
    let capacity = output.count
    let count: Int
    switch format {
    case .gzip:
      var stream = z_stream()
      try #require(wdsfs_deflate_init_gzip(&stream, 1) == Z_OK)
      defer { deflateEnd(&stream) }
      var input = plain
      let status = input.withUnsafeMutableBufferPointer { source in
        output.withUnsafeMutableBufferPointer { target in
          stream.next_in = source.baseAddress
          stream.avail_in = UInt32(source.count)
          stream.next_out = target.baseAddress
          stream.avail_out = UInt32(target.count)
          return deflate(&stream, Z_FINISH)
        }
      }
      try #require(status == Z_STREAM_END)
      count = Int(stream.total_out)
    case .zstd:
      let context = try #require(ZSTD_createCCtx())
      defer { ZSTD_freeCCtx(context) }
      ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
      count = ZSTD_compress2(context, &output, capacity, plain, plain.count)
      try #require(ZSTD_isError(count) == 0)
    case .lz4:
      var preferences = LZ4F_preferences_t()
      preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
      count = LZ4F_compressFrame(&output, capacity, plain, plain.count, &preferences)
      try #require(LZ4F_isError(count) == 0)
    case .bzip2:
      var input = plain.map { CChar(bitPattern: $0) }
      var target = [CChar](repeating: 0, count: capacity)
      var length = UInt32(capacity)
      let status = BZ2_bzBuffToBuffCompress(&target, &length, &input, UInt32(input.count), 9, 0, 0)
      try #require(status == BZ_OK)
      return target[..<Int(length)].map { UInt8(bitPattern: $0) }
    case .xz:
      var position = 0
      let check = LZMA_CHECK_CRC64
      let status = lzma_easy_buffer_encode(
        0,
        check,
        nil,
        plain,
        plain.count,
        &output,
        &position,
        capacity
      )
      try #require(status == LZMA_OK)
      count = position
    }
    return Array(output[..<count])
  }
}
