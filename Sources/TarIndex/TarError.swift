/// What ended the walk of a shard: the error classes of the format description.
///
/// The numbers stand in stored indexes and never change.
package enum TarErrorClass: UInt32, CaseIterable, Error, Sendable {
  case empty = 1
  case notTar = 2
  case badChecksum = 3
  case badNumber = 4
  case negativeSize = 5
  case sizeOverflow = 6
  case badPax = 7
  case badSparse = 8
  case tooLargeHeader = 9
  case tooManyExtensions = 10
  case tooManyMembers = 11
  case danglingExtension = 12
  case truncatedHeader = 13
  case truncatedData = 14
  case unsupportedCompression = 15
  case corruptCompression = 16
  case decompressedTooLarge = 17

  /// As it is spelled in logs and metrics, for example `bad-checksum`.
  package var name: String {
    switch self {
    case .empty: "empty"
    case .notTar: "not-tar"
    case .badChecksum: "bad-checksum"
    case .badNumber: "bad-number"
    case .negativeSize: "negative-size"
    case .sizeOverflow: "size-overflow"
    case .badPax: "bad-pax"
    case .badSparse: "bad-sparse"
    case .tooLargeHeader: "too-large-header"
    case .tooManyExtensions: "too-many-extensions"
    case .tooManyMembers: "too-many-members"
    case .danglingExtension: "dangling-extension"
    case .truncatedHeader: "truncated-header"
    case .truncatedData: "truncated-data"
    case .unsupportedCompression: "unsupported-compression"
    case .corruptCompression: "corrupt-compression"
    case .decompressedTooLarge: "decompressed-too-large"
    }
  }

  /// Whether the shard has no samples at all, rather than those before the damage.
  package var rejectsShard: Bool {
    switch self {
    case .empty, .notTar, .unsupportedCompression, .corruptCompression, .decompressedTooLarge: true
    default: false
    }
  }
}

/// Where a walk ended before its time, and why.
package struct TarDamage: Hashable, Sendable {
  package let errorClass: TarErrorClass

  /// Of the header at which the walk ended, in bytes from the shard's start.
  package let offset: Int64

  package init(errorClass: TarErrorClass, offset: Int64) {
    self.errorClass = errorClass
    self.offset = offset
  }
}

/// What was odd in a shard but did not end its walk: the warning classes of the format description.
///
/// The numbers stand in stored indexes and never change.
package enum TarWarningClass: UInt32, CaseIterable, Sendable {
  case noExtension = 1
  case duplicateField = 2
  case reservedField = 3
  case linkSkipped = 4
  case specialSkipped = 5
  case missingEOF = 6
  case trailingData = 7

  /// As it is spelled in logs and metrics, for example `no-extension`.
  package var name: String {
    switch self {
    case .noExtension: "no-extension"
    case .duplicateField: "duplicate-field"
    case .reservedField: "reserved-field"
    case .linkSkipped: "link-skipped"
    case .specialSkipped: "special-skipped"
    case .missingEOF: "missing-eof"
    case .trailingData: "trailing-data"
    }
  }
}

/// How often a shard gave one warning.
package struct TarWarning: Hashable, Sendable {
  package let warningClass: TarWarningClass
  package let count: Int

  /// The first member's name, at most `maxNameBytes` of it; empty where no member is meant.
  package let firstName: [UInt8]

  /// More than a log line prints.
  package static let maxNameBytes = 255
}

/// Bounds that keep a hostile archive from costing more than its length.
package struct TarLimits: Sendable {
  /// Body of one `x`, `g`, `L` or `K` header.
  package var maxExtensionBytes: Int64 = 1 << 20

  /// Extension headers in a row.
  package var maxExtensions = 32

  /// Members of a shard, left-out ones too: they are numbered in 32 bits.
  package var maxMembers = Int(UInt32.max)

  /// Pieces of one sparse member.
  package var maxSparsePieces: Int64 = 1_000_000

  /// How far behind the end mark other bytes are looked for.
  package var trailingBytes: Int64 = 64 * 1024

  package init() {}
}
