import Decompression
import TarIndex
import Testing

@Suite struct DecompressorTests {
  /// Compresses, but not away.
  static let content: [UInt8] = (0..<300_000).map { number in
    UInt8(truncatingIfNeeded: number &* number >> 7 ^ number)
  }

  static let marker = Array("and a second part".utf8)

  private struct Output {
    var bytes: [UInt8] = []
    var pieces = 0
    var hasTrailingData = false
  }

  private func decompress(
    _ parts: [[UInt8]],
    _ format: CompressionFormat,
    maxOutputBytes: Int64 = 1 << 30
  ) throws(DecompressionError) -> Output {
    let decompressor = try Decompressor(format, maxOutputBytes: maxOutputBytes)
    var output = Output()
    for part in parts { try feed(part, to: decompressor, output: &output) }
    try decompressor.finish()
    output.hasTrailingData = decompressor.hasTrailingData
    #expect(decompressor.outputBytes == Int64(output.bytes.count))
    return output
  }

  private func feed(
    _ part: [UInt8],
    to decompressor: Decompressor,
    output: inout Output
  ) throws(DecompressionError) {
    let result = part.withUnsafeBytes { input -> Result<Void, DecompressionError> in
      do throws(DecompressionError) {
        try decompressor.decompress(input) { piece in
          output.bytes.append(contentsOf: piece)
          output.pieces += 1
        }
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  @Test("what was compressed comes out, in bounded pieces", arguments: CompressionFormat.allCases)
  func roundTrip(_ format: CompressionFormat) throws {
    let output = try decompress([try Compressor.compress(Self.content, format)], format)
    #expect(output.bytes == Self.content)
    #expect(output.pieces >= 3)
    #expect(!output.hasTrailingData)
  }

  @Test("fed byte by byte the same comes out", arguments: CompressionFormat.allCases)
  func byteByByte(_ format: CompressionFormat) throws {
    let short = Array(Self.content[..<5000])
    let stream = try Compressor.compress(short, format) + Compressor.compress(Self.marker, format)
    #expect(try decompress(stream.map { [$0] }, format).bytes == short + Self.marker)
  }

  @Test(
    "all members, frames and streams are read, with zero bytes between and behind",
    arguments: CompressionFormat.allCases
  )
  func severalParts(_ format: CompressionFormat) throws {
    let first = try Compressor.compress(Self.content, format)
    let second = try Compressor.compress(Self.marker, format)
    let zeros = [UInt8](repeating: 0, count: 1000)
    for stream in [first + second, first + zeros + second + zeros] {
      let output = try decompress([stream], format)
      #expect(output.bytes == Self.content + Self.marker)
      #expect(!output.hasTrailingData)
    }
  }

  @Test("other bytes behind the last one are told of", arguments: CompressionFormat.allCases)
  func trailingData(_ format: CompressionFormat) throws {
    let stream = try Compressor.compress(Self.marker, format)
    for trailer: [UInt8] in [[1], [0, 0, 0, 7, 7], Array("and more".utf8)] {
      let output = try decompress([stream + trailer], format)
      #expect(output.bytes == Self.marker)
      #expect(output.hasTrailingData)
    }
  }

  @Test("frames that hold no data are passed over", arguments: [CompressionFormat.zstd, .lz4])
  func skippable(_ format: CompressionFormat) throws {
    let skippable: [UInt8] = [0x53, 0x2A, 0x4D, 0x18, 4, 0, 0, 0, 9, 9, 9, 9]
    let stream = try Compressor.compress(Self.marker, format)
    let output = try decompress([skippable + stream + skippable], format)
    #expect(output.bytes == Self.marker)
    #expect(!output.hasTrailingData)
  }

  @Test("cut at any length the data is corrupt", arguments: CompressionFormat.allCases)
  func truncation(_ format: CompressionFormat) throws {
    let stream = try Compressor.compress(Array(Self.content[..<3000]), format)
    for length in 0..<stream.count {
      let error = #expect(throws: DecompressionError.self, "\(length) bytes") {
        _ = try decompress([Array(stream[..<length])], format)
      }
      #expect(error?.errorClass == .corruptCompression)
    }
  }

  @Test(
    "no changed byte goes unseen, unless it changes nothing",
    arguments: CompressionFormat.allCases
  )
  func changedBytes(_ format: CompressionFormat) throws {
    let content = Array(Self.content[..<3000])
    let stream = try Compressor.compress(content, format)
    for offset in stream.indices {
      var changed = stream
      changed[offset] ^= 0x20
      guard let output = try? decompress([changed], format) else { continue }
      // For example gzip's time stamp, or a padding bit.
      #expect(output.bytes == content, "byte \(offset)")
    }
  }

  @Test("a wrong checksum is corrupt data", arguments: CompressionFormat.allCases)
  func checksums(_ format: CompressionFormat) throws {
    var stream = try Compressor.compress(Self.marker, format)
    // Bytes of the checksum, from the end; xz keeps its check before index and footer.
    let distance = [.gzip: 6, .zstd: 2, .bzip2: 4, .xz: 26, .lz4: 2][format] ?? 1
    stream[stream.count - distance] ^= 0x40
    let error = #expect(throws: DecompressionError.self) { _ = try decompress([stream], format) }
    #expect(error?.errorClass == .corruptCompression)
  }

  @Test("output stops at its limit, which itself is allowed", arguments: CompressionFormat.allCases)
  func outputLimit(_ format: CompressionFormat) throws {
    let zeros = [UInt8](repeating: 0, count: 1_000_000)
    let stream = try Compressor.compress(zeros, format)
    #expect(try decompress([stream], format, maxOutputBytes: 1_000_000).bytes == zeros)
    let decompressor = try Decompressor(format, maxOutputBytes: 999_999)
    var output = Output()
    let error = #expect(throws: DecompressionError.self) {
      try feed(stream, to: decompressor, output: &output)
    }
    #expect(error?.errorClass == .decompressedTooLarge)
    #expect(output.bytes.count <= 999_999)
    let again = #expect(throws: DecompressionError.self) { try decompressor.finish() }
    #expect(again == error)
  }

  @Test("windows above 128 MiB are too large")
  func windows() throws {
    let large = [
      (CompressionFormat.zstd, try Compressor.zstd(Self.marker, windowLog: 28)),
      (.xz, try Compressor.xz(Self.marker, dictionaryBytes: 192 << 20)),
    ]
    for (format, stream) in large {
      let error = #expect(throws: DecompressionError.self) { _ = try decompress([stream], format) }
      #expect(error?.errorClass == .decompressedTooLarge)
    }
    #expect(
      try decompress([Compressor.zstd(Self.marker, windowLog: 27)], .zstd).bytes == Self.marker
    )
    let allowed = try Compressor.xz(Self.marker, dictionaryBytes: 128 << 20)
    #expect(try decompress([allowed], .xz).bytes == Self.marker)
  }

  @Test("a caller that wants no more ends the stream with its own word")
  func stopping() throws {
    let stream = try Compressor.compress(Self.content, .gzip)
    let decompressor = try Decompressor(.gzip, maxOutputBytes: 1 << 30)
    let error = #expect(throws: DecompressionError.self) {
      try stream.withUnsafeBytes { input in
        try decompressor.decompress(input) { (_) throws(DecompressionError) in throw .stopped }
      }
    }
    #expect(error == .stopped)
    #expect(error?.errorClass == nil)
  }

  @Test(
    "chance changes never trap, and output keeps to its limit",
    arguments: CompressionFormat.allCases
  )
  func mutations(_ format: CompressionFormat) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var state = seed
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let stream = try Compressor.compress(Array(Self.content[..<4000]), format)
    for _ in 0..<500 {
      var changed = stream
      for _ in 0...next(4) { changed[next(changed.count)] = UInt8(next(256)) }
      let output = try? decompress([changed], format, maxOutputBytes: 100_000)
      #expect((output?.bytes.count ?? 0) <= 100_000, "seed \(seed)")
    }
  }
}
