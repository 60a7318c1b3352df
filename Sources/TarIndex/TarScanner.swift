/// Walks a tar as its bytes come.
///
/// A value that knows no I/O: it says where it wants to go on, and is fed whatever bytes its owner
/// has. Of bodies only a short `cls` is looked at; what is cut between two feeds is carried along
/// inside.
///
/// The object's size is known from the start, so what cannot fit in it is damage as soon as its
/// header is seen, and a sample is complete as soon as the header of a member with another key was.
package struct TarScanner: Sendable {
  package private(set) var objectBytes: Int64

  /// Where the scanner wants to go on.
  ///
  /// At the end of what was fed, or beyond it where data is hopped over.
  package internal(set) var nextOffset: Int64 = 0

  let limits: TarLimits
  var phase = Phase.header
  private var carried: [UInt8] = []
  var pending = PendingExtensions()
  var sparse: SparseMember?
  private var table = IndexBuilder()
  private var warnings = WarningTable()
  private var damage: TarDamage?
  private var memberCount = 0

  /// The member or extension that `nextOffset` lies behind, for an end that comes as a surprise.
  private var last: (dataEnd: Int64, header: Int64, whenCut: TarErrorClass) = (
    0, 0, .truncatedHeader
  )
  private var nameScratch: [UInt8] = []
  private var fieldScratch: [UInt8] = []

  enum Phase {
    case header
    case extensionBody(type: UInt8, bytes: Int)

    /// The data of a `cls`, which is kept.
    case classText(bytes: Int)

    /// The blocks of an old GNU sparse member that hold more of its map.
    case sparseBlock

    /// The map at the start of a sparse member's data.
    case sparseMap

    /// Behind the end mark, up to an offset.
    case trailing(end: Int64)
    case done
  }

  /// - Parameters:
  ///   - objectBytes: The tar's size, not negative.
  ///   - limits: Bounds; those of the format description unless a test says otherwise.
  package init(objectBytes: Int64, limits: TarLimits = TarLimits()) {
    precondition(objectBytes >= 0, "an object of \(objectBytes) bytes")
    self.objectBytes = objectBytes
    self.limits = limits
    if objectBytes == 0 {
      fail(.empty, at: 0)
    } else if objectBytes < TarHeader.blockBytes {
      fail(.notTar, at: 0)
    }
  }

  /// Whether no further byte is wanted.
  package var isDone: Bool {
    if case .done = phase { true } else { false }
  }

  /// Complete samples so far.
  package var sampleCount: Int { table.sampleCount }

  /// An index of the complete samples so far; the final one once the scanner is done.
  ///
  /// - Complexity: About that of copying the index.
  package func snapshot() -> ShardIndex {
    let storage = table.serialized(
      objectBytes: objectBytes,
      isComplete: isDone,
      damage: damage,
      warnings: warnings.encoded
    )
    return ShardIndex(trusted: storage)
  }

  /// Whether an object that begins so is a plain tar: by a valid header, or a zero block.
  package static func beginsTar(_ firstBytes: UnsafeRawBufferPointer) -> Bool {
    guard firstBytes.count >= TarHeader.blockBytes else { return false }
    let block = UnsafeRawBufferPointer(rebasing: firstBytes[..<TarHeader.blockBytes])
    return TarHeader(block).verdict != .invalid
  }

  // MARK: Feeding

  /// Takes bytes of the object.
  ///
  /// - Parameters:
  ///   - bytes: What lies before `nextOffset` or beyond the object is ignored.
  ///   - offset: Of their first, in the object; not beyond `nextOffset`.
  package mutating func feed(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
    guard !isDone else { return }
    precondition(
      offset >= 0 && offset <= nextOffset,
      "fed at \(offset), where \(nextOffset) was to come next"
    )
    while !isDone, nextOffset - offset < bytes.count {
      take(UnsafeRawBufferPointer(rebasing: bytes[Int(nextOffset - offset)...]))
    }
  }

  /// Takes some of the bytes at `nextOffset`, at least one, and moves on.
  private mutating func take(_ bytes: UnsafeRawBufferPointer) {
    switch phase {
    case .header, .sparseBlock: takeItem(bytes, itemBytes: TarHeader.blockBytes)
    case .extensionBody(_, let itemBytes), .classText(let itemBytes):
      takeItem(bytes, itemBytes: itemBytes)
    case .sparseMap: takeSparseMap(bytes)
    case .trailing(let end): takeTrailing(bytes, end: end)
    case .done: break
    }
  }

  /// Takes an item in place where it is whole, else carries its parts along.
  private mutating func takeItem(_ bytes: UnsafeRawBufferPointer, itemBytes: Int) {
    let part = bytes.prefix(itemBytes - carried.count)
    nextOffset += Int64(part.count)
    guard carried.count + part.count == itemBytes else {
      carried.append(contentsOf: part)
      return
    }
    if carried.isEmpty {
      takeWhole(UnsafeRawBufferPointer(rebasing: part))
      return
    }
    var whole: [UInt8] = []
    swap(&whole, &carried)
    whole.append(contentsOf: part)
    whole.withUnsafeBytes { takeWhole($0) }
    whole.removeAll(keepingCapacity: whole.count <= TarHeader.blockBytes)
    swap(&whole, &carried)
  }

  private mutating func takeWhole(_ item: UnsafeRawBufferPointer) {
    switch phase {
    case .extensionBody(let type, _): takeExtension(type, item)
    case .classText: takeClass(item)
    case .sparseBlock: takeSparseBlock(item)
    default: takeHeader(item)
    }
  }

  /// Says where the object ends, where that was not known at the start.
  ///
  /// For a tar that comes out of a compressed stream: it is begun with `Int64.max` bytes, and judged
  /// at its end as one whose size was known.
  ///
  /// - Parameter end: Everything before it was fed.
  package mutating func endObject(at end: Int64) {
    objectBytes = end
    guard !isDone else { return }
    if end == 0 { return fail(.empty, at: 0) }
    if end < TarHeader.blockBytes { return fail(.notTar, at: 0) }
    switch phase {
    case .done: break
    case .trailing: finish()
    case .extensionBody: fail(.truncatedHeader, at: pending.lastHeader)
    case .classText, .sparseBlock, .sparseMap: fail(.truncatedData, at: last.header)
    case .header where !carried.isEmpty:
      fail(.truncatedHeader, at: nextOffset - Int64(carried.count))
    case .header: goOn(afterDataEnd: last.dataEnd, header: last.header, whenCut: last.whenCut)
    }
  }

  /// Adds the warning for bytes behind a compressed stream, which the scanner does not see itself.
  package mutating func noteTrailingData() {
    warnings.add(.trailingData)
  }

  // MARK: Headers

  private mutating func takeHeader(_ block: UnsafeRawBufferPointer) {
    let header = TarHeader(block)
    let offset = nextOffset - Int64(TarHeader.blockBytes)
    switch header.verdict {
    case .valid: break
    case .zero: return takeEndMark(at: offset)
    case .invalid: return fail(offset == 0 ? .notTar : .badChecksum, at: offset)
    }
    switch header.size {
    case .negative: fail(.negativeSize, at: offset)
    case .tooLarge: fail(.sizeOverflow, at: offset)
    case .invalid: fail(.badNumber, at: offset)
    case .value(let sizeBytes):
      switch header.type {
      case UInt8(ascii: "x"), UInt8(ascii: "X"), UInt8(ascii: "g"), UInt8(ascii: "L"),
        UInt8(ascii: "K"):
        beginExtension(header.type, sizeBytes: sizeBytes, at: offset)
      default:
        takeMember(header, sizeBytes: sizeBytes, at: offset)
      }
    }
  }

  private mutating func beginExtension(_ type: UInt8, sizeBytes: Int64, at offset: Int64) {
    pending.note(headerAt: offset)
    guard pending.count <= limits.maxExtensions else { return fail(.tooManyExtensions, at: offset) }
    guard sizeBytes <= limits.maxExtensionBytes else { return fail(.tooLargeHeader, at: offset) }
    guard sizeBytes <= objectBytes - nextOffset else { return fail(.truncatedHeader, at: offset) }
    if sizeBytes == 0 {
      takeExtension(type, UnsafeRawBufferPointer(start: nil, count: 0))
    } else {
      phase = .extensionBody(type: type, bytes: Int(sizeBytes))
    }
  }

  private mutating func takeExtension(_ type: UInt8, _ body: UnsafeRawBufferPointer) {
    let offset = pending.lastHeader
    switch type {
    case UInt8(ascii: "L"):
      pending.setLongName(body)
    case UInt8(ascii: "K"):
      pending.isDangling = true
    default:
      do {
        let records = try PaxRecords(body, maxSparsePieces: limits.maxSparsePieces)
        // Global headers are checked and not used.
        if type != UInt8(ascii: "g") { pending.merge(records, of: body) }
      } catch {
        return fail(error, at: offset)
      }
    }
    goOn(afterDataEnd: nextOffset, header: offset, whenCut: .truncatedHeader)
  }

  private mutating func takeMember(_ header: TarHeader, sizeBytes: Int64, at offset: Int64) {
    memberCount += 1
    guard memberCount <= limits.maxMembers else { return fail(.tooManyMembers, at: offset) }
    var name: [UInt8] = []
    swap(&name, &nameScratch)
    pending.writeName(of: header, into: &name)
    name.withUnsafeBytes { takeMember(header, named: $0, sizeBytes: sizeBytes, at: offset) }
    swap(&name, &nameScratch)
  }

  private mutating func takeMember(
    _ header: TarHeader,
    named name: UnsafeRawBufferPointer,
    sizeBytes: Int64,
    at offset: Int64
  ) {
    let type = header.type
    switch type {
    case UInt8(ascii: "1"), UInt8(ascii: "2"):
      warnings.add(.linkSkipped, name: name)
      endMember(dataEnd: nextOffset, at: offset)
      return
    case UInt8(ascii: "3"), UInt8(ascii: "4"), UInt8(ascii: "6"):
      warnings.add(.specialSkipped, name: name)
      endMember(dataEnd: nextOffset, at: offset)
      return
    case UInt8(ascii: "5"):
      endMember(dataEnd: nextOffset, at: offset)
      return
    case 0 where pending.endsInSlash(header):
      endMember(dataEnd: nextOffset, at: offset)
      return
    default: break
    }
    let stored = pending.size ?? sizeBytes
    var place = FieldPlace(
      start: pending.start ?? offset,
      dataOffset: nextOffset,
      sizeBytes: stored,
      dataEnd: nextOffset,
      modifiedSeconds: pending.modifiedSeconds ?? header.modifiedSeconds,
      isSparse: false
    )
    if type == UInt8(ascii: "S") {
      // More headers may come before its data.
      return beginOldSparse(header, name: name, at: place, headerOffset: offset)
    }
    guard let dataEnd = checkedEnd(of: stored, at: offset) else { return }
    place.dataEnd = dataEnd
    switch type {
    case UInt8(ascii: "0"), 0, UInt8(ascii: "7"):
      switch pending.sparse.encoding {
      case .none:
        let isClass = accept(name, at: place)
        if isClass, 1...Int64(IndexFormat.maxClassBytes) ~= stored {
          beginClass(bytes: Int(stored), dataEnd: dataEnd, at: offset)
        } else {
          endMember(dataEnd: dataEnd, at: offset)
        }
      case .inRecords: takeSparseByRecords(name, at: place, header: offset)
      case .inData: beginSparseMap(name, at: place, header: offset)
      case .unknown: fail(.badSparse, at: offset)
      }
    default:
      warnings.add(.specialSkipped, name: name)
      endMember(dataEnd: dataEnd, at: offset)
    }
  }

  /// The end of data that begins at `nextOffset`; nil, and damage, where it cannot be there.
  mutating func checkedEnd(of sizeBytes: Int64, at header: Int64) -> Int64? {
    guard let dataEnd = TarExtent.end(of: sizeBytes, from: nextOffset),
      TarExtent.padded(dataEnd) != nil
    else {
      fail(.sizeOverflow, at: header)
      return nil
    }
    guard dataEnd <= objectBytes else {
      fail(.truncatedData, at: header)
      return nil
    }
    return dataEnd
  }

  // MARK: Samples

  /// Makes a member a field, if its name gives one.
  ///
  /// - Parameters:
  ///   - name: The member's name.
  ///   - place: Where it lies; its end as yet without padding.
  /// - Returns: Whether it says its sample's class.
  mutating func accept(_ name: UnsafeRawBufferPointer, at place: FieldPlace) -> Bool {
    let keyBytes: Int
    switch SampleName.split(name) {
    case .metadata: return false
    case .noExtension:
      warnings.add(.noExtension, name: name)
      return false
    case .field(let bytes): keyBytes = bytes
    }
    let field = UnsafeRawBufferPointer(rebasing: name[(keyBytes + 1)...])
    guard SampleName.mayChangeCase(field) else {
      return add(field, keyBytes: keyBytes, of: name, at: place)
    }
    var lowercased: [UInt8] = []
    swap(&lowercased, &fieldScratch)
    lowercased.removeAll(keepingCapacity: true)
    SampleName.appendLowercased(field, to: &lowercased)
    let isClass = lowercased.withUnsafeBytes { add($0, keyBytes: keyBytes, of: name, at: place) }
    swap(&lowercased, &fieldScratch)
    return isClass
  }

  private mutating func add(
    _ field: UnsafeRawBufferPointer,
    keyBytes: Int,
    of name: UnsafeRawBufferPointer,
    at place: FieldPlace
  ) -> Bool {
    guard !SampleName.isReserved(field) else {
      warnings.add(.reservedField, name: name)
      return false
    }
    let key = UnsafeRawBufferPointer(rebasing: name[..<keyBytes])
    guard table.add(key: key, field: field, at: place) else {
      warnings.add(.duplicateField, name: name)
      return false
    }
    return field.equals("cls")
  }

  /// Goes on with a member's data, where others are hopped over.
  private mutating func beginClass(bytes: Int, dataEnd: Int64, at header: Int64) {
    pending.reset()
    last = (dataEnd, header, .truncatedData)
    phase = .classText(bytes: bytes)
  }

  private mutating func takeClass(_ text: UnsafeRawBufferPointer) {
    table.setClass(text)
    goOn(afterDataEnd: last.dataEnd, header: last.header, whenCut: last.whenCut)
  }

  // MARK: Going on

  mutating func endMember(dataEnd: Int64, at header: Int64) {
    pending.reset()
    goOn(afterDataEnd: dataEnd, header: header, whenCut: .truncatedData)
  }

  /// Hops to the next header, if the object has one.
  private mutating func goOn(
    afterDataEnd dataEnd: Int64,
    header: Int64,
    whenCut: TarErrorClass
  ) {
    last = (dataEnd, header, whenCut)
    if dataEnd == objectBytes { return endWithoutMark() }
    guard let next = TarExtent.padded(dataEnd), next <= objectBytes else {
      // Neither the end of the data nor of its padding: something was cut off.
      return fail(whenCut, at: header)
    }
    if next == objectBytes { return endWithoutMark() }
    guard objectBytes - next >= TarHeader.blockBytes else {
      return fail(.truncatedHeader, at: next)
    }
    phase = .header
    nextOffset = next
  }

  private mutating func endWithoutMark() {
    guard !pending.isDangling else { return fail(.danglingExtension, at: pending.lastHeader) }
    warnings.add(.missingEOF)
    table.endSample()
    finish()
  }

  private mutating func takeEndMark(at offset: Int64) {
    guard !pending.isDangling else { return fail(.danglingExtension, at: pending.lastHeader) }
    table.endSample()
    let end = nextOffset + min(limits.trailingBytes, objectBytes - nextOffset)
    if end == nextOffset { return finish() }
    phase = .trailing(end: end)
  }

  private mutating func takeTrailing(_ bytes: UnsafeRawBufferPointer, end: Int64) {
    let part = bytes.prefix(Int(min(Int64(bytes.count), end - nextOffset)))
    nextOffset += Int64(part.count)
    if !UnsafeRawBufferPointer(rebasing: part).isZero {
      warnings.add(.trailingData)
      finish()
    } else if nextOffset == end {
      finish()
    }
  }

  mutating func fail(_ errorClass: TarErrorClass, at offset: Int64) {
    damage = TarDamage(errorClass: errorClass, offset: offset)
    table.dropSample()
    finish()
  }

  private mutating func finish() {
    phase = .done
    nextOffset = objectBytes
    carried = []
    sparse = nil
  }
}
