/// The table of a shard's samples and members, in the flat form in which it is kept.
///
/// Nothing is decoded beforehand: every answer is read out of the bytes, which may be a mapped
/// file. Finding a sample is a search over pages of up to 32 samples; within a page, sizes are
/// added up. `docs/index-format.md` describes the bytes.
package final class ShardIndex: Sendable {
  /// One field's place in its shard.
  package struct Member: Hashable, Sendable {
    /// Of its data, in bytes from the shard's start.
    package let dataOffset: Int64

    /// Its real size; a sparse member has fewer bytes in the shard.
    package let sizeBytes: Int64

    /// Seconds since 1970; 0 where the archive says nothing sensible.
    package let modifiedSeconds: Int64

    /// Whether its bytes in the shard are not simply its content.
    package let isSparse: Bool
  }

  package let sampleCount: Int

  /// Fields of all samples; ordinals are `0..<fieldCount`.
  package let fieldCount: Int

  /// The tar's size: of a compressed shard, its size after decompression.
  package let objectBytes: Int64

  /// Whether the walk is over; if not, more samples may follow.
  package let isComplete: Bool

  /// What ended the walk before its time.
  package let damage: TarDamage?

  let storage: IndexStorage
  let sections: [Range<Int>]
  let pageCount: Int

  // Read on every lookup, so not through the array.
  private let pagesOffset: Int
  private let dataOffset: Int
  private let layoutEndsOffset: Int
  private let layoutsOffset: Int
  private let nameEndsOffset: Int
  private let namesOffset: Int
  private let classEndsOffset: Int
  private let classesOffset: Int
  private let classNumbersOffset: Int
  private let classWidth: Int

  /// Different classes that samples have; `0..<classCount` are their numbers.
  package let classCount: Int

  /// Takes bytes that `IndexBuilder` laid out, or whose header was found to be sound.
  init(trusted storage: IndexStorage) {
    let bytes = storage.bytes
    self.storage = storage
    typealias Header = IndexFormat.Header
    sampleCount = Int(bytes.number(at: Header.sampleCount, as: UInt64.self))
    fieldCount = Int(bytes.number(at: Header.fieldCount, as: UInt64.self))
    objectBytes = bytes.number(at: Header.objectBytes, as: Int64.self)
    isComplete = bytes.number(at: Header.flags, as: UInt32.self) & IndexFormat.completeFlag != 0
    damage = TarErrorClass(rawValue: bytes.number(at: Header.damageClass, as: UInt32.self))
      .map { errorClass in
        TarDamage(
          errorClass: errorClass,
          offset: bytes.number(at: Header.damageOffset, as: Int64.self)
        )
      }
    var position = IndexFormat.headerBytes
    let ranges = IndexFormat.Section.allCases.map { section in
      let count = bytes.number(at: Header.sectionBytes + section.rawValue * 8, as: UInt64.self)
      defer { position += Int(count) }
      return position..<position + Int(count)
    }
    func start(_ section: IndexFormat.Section) -> Int { ranges[section.rawValue].lowerBound }
    sections = ranges
    pageCount = ranges[IndexFormat.Section.pages.rawValue].count / IndexFormat.pageRecordBytes
    pagesOffset = start(.pages)
    dataOffset = start(.pageData)
    layoutEndsOffset = start(.layoutEnds)
    layoutsOffset = start(.layouts)
    nameEndsOffset = start(.nameEnds)
    namesOffset = start(.names)
    classEndsOffset = start(.classEnds)
    classesOffset = start(.classes)
    classNumbersOffset = start(.classNumbers)
    classCount = ranges[IndexFormat.Section.classEnds.rawValue].count / 8
    classWidth = IndexFormat.classWidth(classCount: classCount)
  }

  /// The index of a shard that has no samples.
  package static func rejected(_ errorClass: TarErrorClass, objectBytes: Int64) -> ShardIndex {
    let storage = IndexBuilder().serialized(
      objectBytes: max(0, objectBytes),
      isComplete: true,
      damage: TarDamage(errorClass: errorClass, offset: 0),
      warnings: []
    )
    return ShardIndex(trusted: storage)
  }

  /// Gives the flat form, which goes to disk as it is.
  package func withSerialized<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withExtendedLifetime(self) { () throws(Failure) in try body(storage.bytes) }
  }

  /// Bytes of the flat form.
  package var serializedBytes: Int { storage.bytes.count }

  // MARK: Samples and members

  /// The ordinals of a sample's fields, in archive order.
  package func fieldOrdinals(ofSample sampleNumber: Int) -> Range<Int> {
    let page = page(ofSample: sampleNumber)
    let first = page.firstField + (sampleNumber - page.firstSample) * page.fieldCount
    return first..<first + page.fieldCount
  }

  /// The sample that a field belongs to.
  package func sampleNumber(ofField ordinal: Int) -> Int {
    let page = page(ofField: ordinal)
    return page.firstSample + (ordinal - page.firstField) / page.fieldCount
  }

  /// Where a field lies.
  package func member(_ ordinal: Int) -> Member {
    let page = page(ofField: ordinal)
    let place = ordinal - page.firstField
    guard page.isExplicit else {
      let row = place / page.fieldCount
      let column = place % page.fieldCount
      let walk = RowWalk(page, in: storage.bytes)
      let dataOffset = walk.dataOffset(row: row, column: column)
      return Member(
        dataOffset: dataOffset,
        sizeBytes: walk.size(row: row, column: column),
        modifiedSeconds: walk.time(row: row, column: column),
        isSparse: false
      )
    }
    let entry = page.rows + place * IndexFormat.explicitEntryBytes
    let marked = storage.bytes.number(at: entry, as: UInt64.self)
    return Member(
      dataOffset: Int64(marked & ~IndexFormat.sparseBit),
      sizeBytes: storage.bytes.number(at: entry + 8, as: Int64.self),
      modifiedSeconds: storage.bytes.number(at: entry + 16, as: Int64.self),
      isSparse: marked & IndexFormat.sparseBit != 0
    )
  }

  /// The bytes of a sample: from its first header, which may be an extension header, to the padded
  /// end of its last member, or the shard's end where the padding is missing.
  package func span(ofSample sampleNumber: Int) -> Range<Int64> {
    let page = page(ofSample: sampleNumber)
    guard page.isExplicit else {
      let walk = RowWalk(page, in: storage.bytes)
      let row = sampleNumber - page.firstSample
      let start = walk.rowStart(row)
      return start..<min(objectBytes, walk.rowEnd(row, from: start))
    }
    let end = page.rows + page.fieldCount * IndexFormat.explicitEntryBytes
    return page.start..<min(objectBytes, storage.bytes.number(at: end, as: Int64.self))
  }

  /// Gives a sample's key.
  package func withKey<Result>(
    ofSample sampleNumber: Int,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let page = page(ofSample: sampleNumber)
    let key = keyParts(page, row: sampleNumber - page.firstSample)
    if key.prefix.isEmpty { return body(key.suffix) }
    if key.suffix.isEmpty { return body(key.prefix) }
    let count = key.prefix.count + key.suffix.count
    return withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { joined in
      joined.copyMemory(from: key.prefix)
      UnsafeMutableRawBufferPointer(rebasing: joined[key.prefix.count...])
        .copyMemory(from: key.suffix)
      return body(UnsafeRawBufferPointer(joined))
    }
  }

  /// Gives a field's name, lower-cased, as the format description splits it off.
  package func withFieldName<Result>(
    _ ordinal: Int,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let page = page(ofField: ordinal)
    return body(fieldName(page, (ordinal - page.firstField) % page.fieldCount))
  }

  /// The class of a sample: what its `cls` says; nil where it has none, or one that is no short text.
  package func classNumber(ofSample sampleNumber: Int) -> Int? {
    precondition((0..<sampleCount).contains(sampleNumber), "sample \(sampleNumber)")
    let place = classNumbersOffset + sampleNumber * classWidth
    let number =
      switch classWidth {
      case 0: 0
      case 1: Int(storage.bytes[place])
      case 2: Int(storage.bytes.number(at: place, as: UInt16.self))
      default: Int(storage.bytes.number(at: place, as: UInt32.self))
      }
    return number == 0 ? nil : number - 1
  }

  /// Gives the text of a class, without the blanks around it; never empty.
  package func withClass<Result>(
    _ number: Int,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    precondition((0..<classCount).contains(number), "class \(number) of \(classCount)")
    let range = entry(number, endsAt: classEndsOffset)
    let place = classesOffset + range.lowerBound..<classesOffset + range.upperBound
    return body(UnsafeRawBufferPointer(rebasing: storage.bytes[place]))
  }

  // MARK: Pages

  /// A page's record, read out.
  struct Page {
    let firstSample: Int
    let firstField: Int
    let rowCount: Int
    let start: Int64
    let timeBase: Int64
    let leadBytes: Int64
    let timeWidth: Int
    let isExplicit: Bool

    /// Absolute places in the index.
    let keys: Int
    let rows: Int
    let layout: Int
    let fieldCount: Int
  }

  func page(_ number: Int) -> Page {
    typealias Record = IndexFormat.Page
    let bytes = storage.bytes
    let record = pagesOffset + number * IndexFormat.pageRecordBytes
    let keys = dataOffset + Int(bytes.number(at: record + Record.data, as: UInt64.self))
    let layoutNumber = Int(bytes.number(at: record + Record.layout, as: UInt32.self))
    let layout = entry(layoutNumber, endsAt: layoutEndsOffset)
    let leadBlocks = Int64(bytes.number(at: record + Record.leadBlocks, as: UInt16.self))
    let firstSample = Int(bytes.number(at: record + Record.firstSample, as: UInt32.self))
    var endSample = sampleCount
    if number + 1 < pageCount {
      let next = record + IndexFormat.pageRecordBytes + Record.firstSample
      endSample = Int(bytes.number(at: next, as: UInt32.self))
    }
    return Page(
      firstSample: firstSample,
      firstField: Int(bytes.number(at: record + Record.firstField, as: UInt32.self)),
      rowCount: endSample - firstSample,
      start: bytes.number(at: record + Record.start, as: Int64.self),
      timeBase: bytes.number(at: record + Record.timeBase, as: Int64.self),
      leadBytes: leadBlocks * Int64(TarHeader.blockBytes),
      timeWidth: Int(bytes[record + Record.timeWidth]),
      isExplicit: bytes[record + Record.kind] == 1,
      keys: keys,
      rows: keys + Int(bytes.number(at: record + Record.rows, as: UInt32.self)),
      layout: layoutsOffset + layout.lowerBound,
      fieldCount: layout.count / IndexFormat.layoutEntryBytes
    )
  }

  private func page(ofSample number: Int) -> Page {
    precondition((0..<sampleCount).contains(number), "sample \(number) of \(sampleCount)")
    return page(lastPage(at: IndexFormat.Page.firstSample, notAfter: UInt32(number)))
  }

  func page(ofField ordinal: Int) -> Page {
    precondition((0..<fieldCount).contains(ordinal), "field \(ordinal) of \(fieldCount)")
    return page(lastPage(at: IndexFormat.Page.firstField, notAfter: UInt32(ordinal)))
  }

  /// The last page whose number at a place in its record is not beyond a bound.
  private func lastPage(at place: Int, notAfter bound: UInt32) -> Int {
    let bytes = storage.bytes
    var low = 0
    var high = pageCount
    while high - low > 1 {
      let middle = (low + high) / 2
      let record = pagesOffset + middle * IndexFormat.pageRecordBytes
      if bytes.number(at: record + place, as: UInt32.self) <= bound {
        low = middle
      } else {
        high = middle
      }
    }
    return low
  }

  /// The place of an entry in its pool, by the table of ends.
  private func entry(_ number: Int, endsAt ends: Int) -> Range<Int> {
    let bytes = storage.bytes
    let start = number == 0 ? 0 : bytes.number(at: ends + (number - 1) * 8, as: UInt64.self)
    return Int(start)..<Int(bytes.number(at: ends + number * 8, as: UInt64.self))
  }

  func keyParts(
    _ page: Page,
    row: Int
  ) -> (prefix: UnsafeRawBufferPointer, suffix: UnsafeRawBufferPointer) {
    let bytes = storage.bytes
    let rowCount = page.rowCount
    let prefixBytes = Int(bytes.number(at: page.keys, as: UInt32.self))
    let suffixMark = bytes.number(at: page.keys + 4, as: UInt32.self)
    let table = page.keys + IndexFormat.keyHeaderBytes
    let own: Range<Int>
    var prefix = table
    switch suffixMark {
    case IndexFormat.shortKeyEnds:
      prefix += rowCount * 2
      let start = row == 0 ? 0 : Int(bytes.number(at: table + (row - 1) * 2, as: UInt16.self))
      own = start..<Int(bytes.number(at: table + row * 2, as: UInt16.self))
    case IndexFormat.longKeyEnds:
      prefix += rowCount * 4
      let start = row == 0 ? 0 : Int(bytes.number(at: table + (row - 1) * 4, as: UInt32.self))
      own = start..<Int(bytes.number(at: table + row * 4, as: UInt32.self))
    default:
      own = row * Int(suffixMark)..<(row + 1) * Int(suffixMark)
    }
    let suffixes = prefix + prefixBytes
    return (
      UnsafeRawBufferPointer(rebasing: bytes[prefix..<suffixes]),
      UnsafeRawBufferPointer(
        rebasing: bytes[suffixes + own.lowerBound..<suffixes + own.upperBound]
      )
    )
  }

  /// The name of the field at a place in a page's layout.
  func fieldName(_ page: Page, _ column: Int) -> UnsafeRawBufferPointer {
    let place = page.layout + column * IndexFormat.layoutEntryBytes
    let number = Int(storage.bytes.number(at: place, as: UInt32.self))
    let range = entry(number, endsAt: nameEndsOffset)
    return UnsafeRawBufferPointer(
      rebasing: storage.bytes[namesOffset + range.lowerBound..<namesOffset + range.upperBound]
    )
  }
}
