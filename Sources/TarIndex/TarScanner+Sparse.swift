/// A sparse member whose map is being read.
struct SparseMember: Sendable {
  let name: [UInt8]
  let place: FieldPlace

  /// Offset of the member's header.
  let header: Int64
  let realBytes: Int64

  /// The map, as far as an old GNU member's blocks gave it.
  private(set) var pieces = SparsePieces()

  /// The map, as far as format 1.0 gave it.
  var reader: SparseMapReader

  init(
    name: UnsafeRawBufferPointer,
    place: FieldPlace,
    header: Int64,
    realBytes: Int64,
    limits: TarLimits
  ) {
    self.name = Array(name)
    self.place = place
    self.header = header
    self.realBytes = realBytes
    reader = SparseMapReader(maxPieces: limits.maxSparsePieces)
  }

  /// Takes the entries of an old GNU map that one block holds, up to the first empty one.
  ///
  /// - Parameters:
  ///   - block: The header, or a block after it.
  ///   - start: Where the entries begin in it.
  ///   - count: How many it has room for.
  ///   - limits: Bounds the map's length.
  /// - Returns: False where the map is malformed.
  mutating func takeEntries(
    _ block: UnsafeRawBufferPointer,
    from start: Int,
    count: Int,
    limits: TarLimits
  ) -> Bool {
    for entry in 0..<count {
      let place = start + entry * 24
      guard block[place + 12] != 0 else { break }
      guard case .value(let offset) = TarNumber(block, place..<place + 12),
        case .value(let sizeBytes) = TarNumber(block, place + 12..<place + 24)
      else { return false }
      pieces.add(offset: offset, sizeBytes: sizeBytes)
    }
    return pieces.isOrdered && pieces.count <= limits.maxSparsePieces
  }
}

extension FieldPlace {
  /// The same place, held by a sparse member.
  func asSparse(realBytes: Int64) -> FieldPlace {
    var place = self
    place.sizeBytes = realBytes
    place.isSparse = true
    return place
  }
}

/// The four encodings of sparse members: recognised and checked, so that what follows is found.
extension TarScanner {
  mutating func takeSparseByRecords(
    _ name: UnsafeRawBufferPointer,
    at place: FieldPlace,
    header: Int64
  ) {
    let records = pending.sparse
    guard records.isWellFormed, let realBytes = records.realBytes,
      records.pieces.fit(realBytes: realBytes, storedBytes: place.sizeBytes)
    else { return fail(.badSparse, at: header) }
    _ = accept(name, at: place.asSparse(realBytes: realBytes))
    endMember(dataEnd: place.dataEnd, at: header)
  }

  mutating func beginSparseMap(
    _ name: UnsafeRawBufferPointer,
    at place: FieldPlace,
    header: Int64
  ) {
    guard pending.sparse.isWellFormed, let realBytes = pending.sparse.realBytes,
      place.sizeBytes > 0
    else { return fail(.badSparse, at: header) }
    sparse = SparseMember(
      name: name,
      place: place,
      header: header,
      realBytes: realBytes,
      limits: limits
    )
    phase = .sparseMap
  }

  mutating func takeSparseMap(_ bytes: UnsafeRawBufferPointer) {
    guard var member = sparse else { return }
    let place = member.place
    for byte in bytes {
      guard nextOffset < place.dataEnd, member.reader.take(byte) else {
        return fail(.badSparse, at: member.header)
      }
      nextOffset += 1
      if member.reader.isDone { break }
    }
    guard member.reader.isDone else {
      sparse = member
      if nextOffset == place.dataEnd { fail(.badSparse, at: member.header) }
      return
    }
    guard let mapEnd = TarExtent.padded(nextOffset), mapEnd <= place.dataEnd,
      member.reader.pieces.fit(
        realBytes: member.realBytes,
        storedBytes: place.dataEnd - mapEnd
      )
    else { return fail(.badSparse, at: member.header) }
    member.name.withUnsafeBytes { name in
      _ = accept(name, at: place.asSparse(realBytes: member.realBytes))
    }
    sparse = nil
    endMember(dataEnd: place.dataEnd, at: member.header)
  }

  mutating func beginOldSparse(
    _ header: TarHeader,
    name: UnsafeRawBufferPointer,
    at place: FieldPlace,
    headerOffset: Int64
  ) {
    guard case .value(let realBytes) = TarNumber(header.block, 483..<495) else {
      return fail(.badSparse, at: headerOffset)
    }
    var member = SparseMember(
      name: name,
      place: place,
      header: headerOffset,
      realBytes: realBytes,
      limits: limits
    )
    guard member.takeEntries(header.block, from: 386, count: 4, limits: limits) else {
      return fail(.badSparse, at: headerOffset)
    }
    sparse = member
    goOnWithOldSparse(isExtended: header.block[482] != 0)
  }

  mutating func takeSparseBlock(_ block: UnsafeRawBufferPointer) {
    guard var member = sparse else { return }
    guard member.takeEntries(block, from: 0, count: 21, limits: limits) else {
      return fail(.badSparse, at: member.header)
    }
    sparse = member
    goOnWithOldSparse(isExtended: block[504] != 0)
  }

  private mutating func goOnWithOldSparse(isExtended: Bool) {
    guard let member = sparse else { return }
    if isExtended {
      guard objectBytes - nextOffset >= TarHeader.blockBytes else {
        return fail(.truncatedHeader, at: member.header)
      }
      phase = .sparseBlock
      return
    }
    let stored = member.place.sizeBytes
    guard member.pieces.fit(realBytes: member.realBytes, storedBytes: stored) else {
      return fail(.badSparse, at: member.header)
    }
    guard let dataEnd = checkedEnd(of: stored, at: member.header) else { return }
    var place = member.place.asSparse(realBytes: member.realBytes)
    place.dataOffset = nextOffset
    place.dataEnd = dataEnd
    member.name.withUnsafeBytes { _ = accept($0, at: place) }
    sparse = nil
    endMember(dataEnd: dataEnd, at: member.header)
  }
}
