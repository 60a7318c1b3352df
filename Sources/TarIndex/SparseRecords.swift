/// The map of a sparse member, checked piece by piece and not kept.
struct SparsePieces: Sendable {
  private(set) var count: Int64 = 0
  private(set) var isOrdered = true
  private var end: Int64 = 0
  private var sum: Int64 = 0

  mutating func add(offset: Int64, sizeBytes: Int64) {
    count += 1
    guard offset >= end, sizeBytes >= 0,
      let pieceEnd = TarExtent.end(of: sizeBytes, from: offset)
    else {
      isOrdered = false
      return
    }
    end = pieceEnd
    // No more than `end`, since pieces do not overlap.
    sum += sizeBytes
  }

  /// Whether the pieces lie within the real size and make up the stored one.
  func fit(realBytes: Int64, storedBytes: Int64) -> Bool {
    isOrdered && end <= realBytes && sum == storedBytes
  }
}

/// The `GNU.sparse.` records of one pax header: GNU tar manual, Storing Sparse Files.
struct SparseRecords: Sendable {
  enum Encoding {
    /// Not sparse at all.
    case none

    /// 0.0 and 0.1: the map is in the records.
    case inRecords

    /// 1.0: the map comes first in the data.
    case inData

    /// Stated to be sparse in a way we do not know.
    case unknown
  }

  var name: Range<Int>?
  private(set) var realBytes: Int64?
  private(set) var pieces = SparsePieces()
  private var isValid = true
  private var hasPieces = false
  private var hasSize = false
  private var openOffset: Int64?
  private var major: Int64?
  private var minor: Int64?

  var encoding: Encoding {
    if hasPieces || hasSize { return .inRecords }
    guard let major else { return .none }
    return major == 1 && minor == 0 ? .inData : .unknown
  }

  /// Whether any record said something of the map or the sizes.
  var isPresent: Bool { hasPieces || hasSize || realBytes != nil || major != nil || !isValid }

  /// Whether no record was malformed and every offset has its size.
  var isWellFormed: Bool { isValid && openOffset == nil }

  /// - Parameters:
  ///   - keyword: What follows `GNU.sparse.`.
  ///   - value: The record's value.
  ///   - range: The value's place in the header's body.
  ///   - maxPieces: A longer map is malformed.
  mutating func take(
    keyword: UnsafeRawBufferPointer,
    value: UnsafeRawBufferPointer,
    at range: Range<Int>,
    maxPieces: Int64
  ) {
    if keyword.equals("name") {
      name = range
    } else if keyword.equals("size") {
      hasSize = true
      realBytes = number(value)
    } else if keyword.equals("realsize") {
      realBytes = number(value)
    } else if keyword.equals("major") {
      major = number(value)
    } else if keyword.equals("minor") {
      minor = number(value)
    } else if keyword.equals("offset") {
      hasPieces = true
      isValid = isValid && openOffset == nil
      openOffset = number(value)
    } else if keyword.equals("numbytes") {
      takeNumBytes(number(value), maxPieces: maxPieces)
    } else if keyword.equals("map") {
      takeMap(value, maxPieces: maxPieces)
    }
  }

  private mutating func takeNumBytes(_ sizeBytes: Int64?, maxPieces: Int64) {
    guard let offset = openOffset, let sizeBytes else {
      isValid = false
      return
    }
    openOffset = nil
    pieces.add(offset: offset, sizeBytes: sizeBytes)
    isValid = isValid && pieces.count <= maxPieces
  }

  /// Offsets and sizes in turn, with commas between; a later map replaces an earlier one.
  private mutating func takeMap(_ text: UnsafeRawBufferPointer, maxPieces: Int64) {
    hasPieces = true
    pieces = SparsePieces()
    openOffset = nil
    guard !text.isEmpty else { return }
    for part in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let next = number(UnsafeRawBufferPointer(rebasing: part))
      if openOffset == nil {
        openOffset = next
      } else {
        takeNumBytes(next, maxPieces: maxPieces)
      }
      guard isValid else { return }
    }
  }

  private mutating func number(_ text: UnsafeRawBufferPointer) -> Int64? {
    if case .value(let value) = TarNumber(decimal: text) { return value }
    isValid = false
    return nil
  }
}
