package import TarIndex

/// The compressions of shards, told by their first bytes.
package enum CompressionFormat: String, CaseIterable, Hashable, Sendable {
  case gzip
  case zstd
  case bzip2
  case xz
  case lz4

  /// The longest of the marks by which a stream is told.
  static let maxMarkBytes = 6

  /// How a member, frame or stream of this format begins.
  var marks: [[UInt8]] {
    switch self {
    case .gzip: [[0x1F, 0x8B]]
    case .zstd: [[0x28, 0xB5, 0x2F, 0xFD]] + Self.skippableMarks
    case .bzip2: [[0x42, 0x5A, 0x68]]
    case .xz: [[0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]]
    case .lz4: [[0x04, 0x22, 0x4D, 0x18]] + Self.skippableMarks
    }
  }

  /// Frames of zstd and lz4 that hold no data.
  private static let skippableMarks = (0x50...0x5F).map { [$0, 0x2A, 0x4D, 0x18] as [UInt8] }
}

/// What an object holds, by its first bytes: never by its name.
package enum ShardContent: Hashable, Sendable {
  case tar
  case compressed(CompressionFormat)
  case unsupportedCompression
  case notTar
  case empty

  /// So many first bytes decide.
  package static let decidingBytes = 512

  /// Tells what an object is.
  ///
  /// - Parameter firstBytes: The first `decidingBytes` of the object, or all of it if it is shorter.
  /// - Returns: How it is to be read, or why it is not.
  package static func detect(firstBytes: UnsafeRawBufferPointer) -> ShardContent {
    if firstBytes.isEmpty { return .empty }
    if TarScanner.beginsTar(firstBytes) { return .tar }
    // An object that begins with a skippable frame is taken for zstd, which is asked before lz4.
    for format in CompressionFormat.allCases
    where format.marks.contains(where: { firstBytes.starts(with: $0) }) {
      return .compressed(format)
    }
    let unsupported: [[UInt8]] = [[0x1F, 0x9D], [0x1F, 0xA0], [0x89, 0x4C, 0x5A, 0x4F]]
    let isUnsupported = unsupported.contains { firstBytes.starts(with: $0) }
    return isUnsupported ? .unsupportedCompression : .notTar
  }

  /// Why such an object has no samples; nil where it may have some.
  package var rejection: TarErrorClass? {
    switch self {
    case .tar, .compressed: nil
    case .unsupportedCompression: .unsupportedCompression
    case .notTar: .notTar
    case .empty: .empty
    }
  }
}
