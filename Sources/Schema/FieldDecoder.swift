import Decompression

/// Decodes the bytes of one field, by one format: bytes in, bytes out.
package struct FieldDecoder: Sendable {
  package let format: FieldFormat

  /// No decoded form is larger.
  package let maxBytes: Int
  private let program: DecoderProgram?

  /// - Parameters:
  ///   - format: What the field becomes.
  ///   - maxBytes: The most that comes of it.
  ///   - environment: What a program of the user's sees; credentials are left out.
  ///   - brake: Ends the program early.
  /// - Throws: `ProgramError`, where there is no such program.
  package init(
    _ format: FieldFormat,
    maxBytes: Int,
    environment: [String: String] = [:],
    brake: ProgramBrake = ProgramBrake()
  ) throws(ProgramError) {
    self.format = format
    self.maxBytes = maxBytes
    if case .pipe(let words, _) = format {
      program = try DecoderProgram(
        words: words,
        environment: environment,
        maxBytes: maxBytes,
        brake: brake
      )
    } else {
      program = nil
    }
  }

  /// Decodes a field; blocks for as long as a program takes.
  ///
  /// - Returns: The decoded field's bytes, at most `maxBytes`.
  package func decode(_ bytes: UnsafeRawBufferPointer) throws(DecodeError) -> [UInt8] {
    switch format {
    case .npy(let size): return try array(bytes, size)
    case .raw: return try decompressed(bytes)
    case .json: return try MessagePackDecoder.json(bytes, maxBytes: maxBytes)
    case .txt:
      guard bytes.count <= maxBytes else { throw tooLarge }
      guard String(validating: bytes, as: UTF8.self) != nil else {
        throw .notReadable("it is not UTF-8")
      }
      return Array(bytes)
    case .pipe:
      guard let program else { throw .program("there is no program") }
      return try program.run(bytes)
    }
  }

  private func array(
    _ bytes: UnsafeRawBufferPointer,
    _ size: ImageSize?
  ) throws(DecodeError) -> [UInt8] {
    if let kind = ImageDecoder.Kind(bytes) {
      return try ImageDecoder.array(kind, bytes, size, maxBytes: maxBytes)
    }
    guard size == nil else { throw .notReadable("it is no JPEG, PNG or WebP image") }
    let first = bytes.first { !JSONReader.isBlank($0) }
    guard first == UInt8(ascii: "[") else { return try NumberDecoder.number(bytes) }
    return try NumberDecoder.array(bytes, maxBytes: maxBytes)
  }

  private var tooLarge: DecodeError {
    .tooLarge("it takes more than \(maxBytes) bytes; see --cache-size")
  }

  private func decompressed(
    _ bytes: UnsafeRawBufferPointer
  ) throws(DecodeError) -> [UInt8] {
    let firstBytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(ShardContent.decidingBytes))
    guard case .compressed(let format) = ShardContent.detect(firstBytes: firstBytes) else {
      throw .notReadable("it is not compressed by gzip, zstd, lz4, bzip2 or xz")
    }
    var output: [UInt8] = []
    do throws(DecompressionError) {
      let decompressor = try Decompressor(format, maxOutputBytes: Int64(maxBytes))
      try decompressor.decompress(bytes) { output += $0 }
      try decompressor.finish()
      guard !decompressor.hasTrailingData else {
        throw DecompressionError.corruptCompression(
          format: format,
          detail: "something else follows them"
        )
      }
    } catch {
      switch error {
      case .outOfMemory: throw .noMeans("\(error)")
      case .decompressedTooLarge: throw .tooLarge("\(error); see --cache-size")
      case .corruptCompression, .stopped: throw .notReadable("\(error)")
      }
    }
    return output
  }
}
