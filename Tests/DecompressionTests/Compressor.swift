import CCompression
import Decompression
import Testing

/// Makes compressed streams for the tests, by the same libraries.
enum Compressor {
  static func compress(_ bytes: [UInt8], _ format: CompressionFormat) throws -> [UInt8] {
    switch format {
    case .gzip: try gzip(bytes)
    case .zstd: try zstd(bytes)
    case .bzip2: try bzip2(bytes)
    case .xz: try xz(bytes)
    case .lz4: try lz4(bytes)
    }
  }

  private static func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
    var stream = z_stream()
    try #require(wdsfs_deflate_init_gzip(&stream, 6) == Z_OK)
    defer { deflateEnd(&stream) }
    var input = bytes
    var output = [UInt8](repeating: 0, count: bytes.count + 1024)
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
    return Array(output[..<Int(stream.total_out)])
  }

  /// With the content checksum; the window may be larger than we accept.
  static func zstd(_ bytes: [UInt8], windowLog: Int32 = 20) throws -> [UInt8] {
    let context = try #require(ZSTD_createCCtx())
    defer { ZSTD_freeCCtx(context) }
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, windowLog)
    var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    // As a stream, since one with a known size would have no more window than it needs.
    var count = 0
    try bytes.withUnsafeBytes { source in
      try output.withUnsafeMutableBytes { target in
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var result = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        let begun = ZSTD_compressStream2(context, &result, &input, ZSTD_e_flush)
        try #require(ZSTD_isError(begun) == 0)
        try #require(ZSTD_compressStream2(context, &result, &input, ZSTD_e_end) == 0)
        count = result.pos
      }
    }
    return Array(output[..<count])
  }

  private static func bzip2(_ bytes: [UInt8]) throws -> [UInt8] {
    var input = bytes.map { CChar(bitPattern: $0) }
    var output = [CChar](repeating: 0, count: bytes.count * 2 + 1024)
    var count = UInt32(output.count)
    let status = BZ2_bzBuffToBuffCompress(&output, &count, &input, UInt32(input.count), 1, 0, 0)
    try #require(status == BZ_OK)
    return output[..<Int(count)].map { UInt8(bitPattern: $0) }
  }

  static func xz(_ bytes: [UInt8], dictionaryBytes: UInt32 = 1 << 20) throws -> [UInt8] {
    var options = lzma_options_lzma()
    try #require(lzma_lzma_preset(&options, 0) == 0)
    var output = [UInt8](repeating: 0, count: lzma_stream_buffer_bound(bytes.count))
    var position = 0
    let status = withUnsafeMutablePointer(to: &options) { options in
      var filters = [
        lzma_filter(id: lzma_vli(0x21), options: UnsafeMutableRawPointer(options)),
        lzma_filter(id: lzma_vli.max, options: nil),
      ]
      options.pointee.dict_size = dictionaryBytes
      return lzma_stream_buffer_encode(
        &filters,
        LZMA_CHECK_CRC64,
        nil,
        bytes,
        bytes.count,
        &output,
        &position,
        output.count
      )
    }
    try #require(status == LZMA_OK)
    return Array(output[..<position])
  }

  private static func lz4(_ bytes: [UInt8]) throws -> [UInt8] {
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
    var output = [UInt8](repeating: 0, count: LZ4F_compressFrameBound(bytes.count, &preferences))
    let count = LZ4F_compressFrame(&output, output.count, bytes, bytes.count, &preferences)
    try #require(LZ4F_isError(count) == 0)
    return Array(output[..<count])
  }
}
