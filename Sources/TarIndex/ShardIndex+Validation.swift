/// Why bytes are not an index that can be used.
package enum ShardIndexError: Error, Hashable, Sendable, CustomStringConvertible {
  case tooShort(bytes: Int)
  case notAnIndex
  case unsupportedVersion(UInt32)
  case wrongLength(stated: UInt64, found: Int)
  case wrongChecksum

  /// The checksum fits and the content contradicts itself, in the named part.
  case malformed(String)

  package var description: String {
    switch self {
    case .tooShort(let bytes): "shard index of \(bytes) bytes is cut short"
    case .notAnIndex: "not a shard index"
    case .unsupportedVersion(let version): "shard index of the unknown version \(version)"
    case .wrongLength(let stated, let found):
      "shard index of \(found) bytes says that it has \(stated)"
    case .wrongChecksum: "shard index does not fit its checksum"
    case .malformed(let part): "shard index contradicts itself: \(part)"
    }
  }
}

extension ShardIndex {
  /// Takes an index from outside, for example a mapped file.
  ///
  /// Everything is checked, so that no later question can lead outside the bytes or to sums that
  /// overflow, whoever wrote them.
  ///
  /// - Parameter storage: The flat form, whole.
  /// - Throws: `ShardIndexError`; the shard is then walked again.
  /// - Complexity: O(bytes).
  package convenience init(validating storage: IndexStorage) throws(ShardIndexError) {
    try IndexValidation.checkHeader(storage.bytes)
    self.init(trusted: storage)
    var check = IndexValidation(index: self)
    try check.checkPools()
    try check.checkPages()
    try check.checkClasses()
    try check.checkWarnings()
  }
}

/// The checks of an index from outside, in an order that makes each read one that was allowed.
private struct IndexValidation {
  let index: ShardIndex
  private let bytes: UnsafeRawBufferPointer
  private var layoutCount = 0
  private var nameCount = 0

  /// The place where the next page's data must begin, and what the pages before it hold.
  private var nextData: Int
  private var nextSample = 0
  private var nextField = 0
  private var nextStart: Int64 = 0

  init(index: ShardIndex) {
    self.index = index
    bytes = index.storage.bytes
    nextData = index.sections[IndexFormat.Section.pageData.rawValue].lowerBound
  }

  private func section(_ section: IndexFormat.Section) -> Range<Int> {
    index.sections[section.rawValue]
  }

  // MARK: Header

  static func checkHeader(_ bytes: UnsafeRawBufferPointer) throws(ShardIndexError) {
    typealias Header = IndexFormat.Header
    guard bytes.count >= IndexFormat.headerBytes else { throw .tooShort(bytes: bytes.count) }
    guard bytes.number(at: Header.magic, as: UInt64.self) == IndexFormat.magic else {
      throw .notAnIndex
    }
    let version = bytes.number(at: Header.version, as: UInt32.self)
    guard version == IndexFormat.version else { throw .unsupportedVersion(version) }
    let stated = bytes.number(at: Header.totalBytes, as: UInt64.self)
    guard stated == UInt64(bytes.count) else {
      throw .wrongLength(stated: stated, found: bytes.count)
    }
    guard bytes.number(at: Header.checksum, as: UInt64.self) == IndexFormat.checksum(of: bytes)
    else { throw .wrongChecksum }
    var total = UInt64(IndexFormat.headerBytes)
    for section in IndexFormat.Section.allCases {
      let count = bytes.number(at: Header.sectionBytes + section.rawValue * 8, as: UInt64.self)
      guard count <= stated else { throw .malformed("section lengths") }
      // A few lengths, none beyond the bytes in memory: the sum cannot overflow.
      total += count
      let unit: UInt64
      switch section {
      case .pages: unit = UInt64(IndexFormat.pageRecordBytes)
      case .layoutEnds, .nameEnds, .classEnds: unit = 8
      default: unit = 1
      }
      guard count % unit == 0 else { throw .malformed("section lengths") }
      if section == .padding, count != UInt64(IndexFormat.paddingBytes) {
        throw .malformed("padding")
      }
    }
    guard total == stated else { throw .malformed("section lengths") }
    try checkNumbers(bytes)
  }

  private static func checkNumbers(_ bytes: UnsafeRawBufferPointer) throws(ShardIndexError) {
    typealias Header = IndexFormat.Header
    let counts = [Header.sampleCount, Header.fieldCount]
    guard counts.allSatisfy({ bytes.number(at: $0, as: UInt64.self) <= UInt64(UInt32.max) }),
      bytes.number(at: Header.objectBytes, as: Int64.self) >= 0
    else { throw .malformed("counts") }
    guard bytes.number(at: Header.flags, as: UInt32.self) & ~IndexFormat.completeFlag == 0,
      bytes.number(at: Header.reserved, as: UInt32.self) == 0
    else { throw .malformed("flags") }
    let damageClass = bytes.number(at: Header.damageClass, as: UInt32.self)
    let damageOffset = bytes.number(at: Header.damageOffset, as: Int64.self)
    guard
      damageClass == 0
        ? damageOffset == 0 : TarErrorClass(rawValue: damageClass) != nil && damageOffset >= 0
    else { throw .malformed("damage") }
  }

  // MARK: Pools

  mutating func checkPools() throws(ShardIndexError) {
    nameCount = try checkEnds(section(.nameEnds), of: section(.names), part: "names")
    layoutCount = try checkEnds(section(.layoutEnds), of: section(.layouts), part: "layouts")
    let ends = section(.layoutEnds).lowerBound
    var start = 0
    for number in 0..<layoutCount {
      let end = Int(bytes.number(at: ends + number * 8, as: UInt64.self))
      defer { start = end }
      try checkLayout(section(.layouts).lowerBound + start, byteCount: end - start)
    }
  }

  private func checkEnds(
    _ ends: Range<Int>,
    of pool: Range<Int>,
    part: String
  ) throws(ShardIndexError) -> Int {
    var last: UInt64 = 0
    for place in stride(from: ends.lowerBound, to: ends.upperBound, by: 8) {
      let end = bytes.number(at: place, as: UInt64.self)
      guard end >= last else { throw .malformed(part) }
      last = end
    }
    guard last == UInt64(pool.count) else { throw .malformed(part) }
    return ends.count / 8
  }

  private func checkLayout(_ start: Int, byteCount: Int) throws(ShardIndexError) {
    let unit = IndexFormat.layoutEntryBytes
    guard byteCount > 0, byteCount % unit == 0 else { throw .malformed("layouts") }
    let fieldCount = byteCount / unit
    for column in 0..<fieldCount {
      let name = bytes.number(at: start + column * unit, as: UInt32.self)
      guard Int(name) < nameCount else { throw .malformed("layouts") }
      // Those of explicit pages may be long; there the order by name shows that names differ.
      guard fieldCount <= IndexFormat.maxPageFields else { continue }
      for other in 0..<column
      where bytes.number(at: start + other * unit, as: UInt32.self) == name {
        throw .malformed("layouts")
      }
    }
  }

  // MARK: Pages

  mutating func checkPages() throws(ShardIndexError) {
    for number in 0..<index.pageCount { try checkPage(number) }
    guard nextSample == index.sampleCount, nextField == index.fieldCount,
      nextData == section(.pageData).upperBound
    else { throw .malformed("page totals") }
  }

  private mutating func checkPage(_ number: Int) throws(ShardIndexError) {
    typealias Record = IndexFormat.Page
    let record = section(.pages).lowerBound + number * IndexFormat.pageRecordBytes
    let layout = bytes.number(at: record + Record.layout, as: UInt32.self)
    let data = bytes.number(at: record + Record.data, as: UInt64.self)
    guard Int(layout) < layoutCount,
      data == UInt64(nextData - section(.pageData).lowerBound),
      bytes[record + Record.kind] <= 1, bytes[record + Record.timeWidth] <= 8
    else { throw .malformed("page record") }
    let page = index.page(number)
    guard page.firstSample == nextSample, page.firstField == nextField, page.rowCount > 0,
      page.start >= nextStart, page.start % Int64(TarHeader.blockBytes) == 0
    else { throw .malformed("page record") }
    try checkKeys(page)
    if page.isExplicit {
      try checkExplicitRows(page)
    } else {
      try checkRows(page)
    }
    nextSample += page.rowCount
    nextField += page.rowCount * page.fieldCount
  }

  private func checkKeys(_ page: ShardIndex.Page) throws(ShardIndexError) {
    let available = section(.pageData).upperBound - page.keys
    let stated = page.rows - page.keys
    guard stated >= IndexFormat.keyHeaderBytes, stated <= available,
      page.rowCount <= IndexFormat.maxPageRows
    else { throw .malformed("keys") }
    let prefixBytes = Int(bytes.number(at: page.keys, as: UInt32.self))
    let mark = bytes.number(at: page.keys + 4, as: UInt32.self)
    let table = page.keys + IndexFormat.keyHeaderBytes
    var own = page.rowCount * Int(mark)
    var tableBytes = 0
    if mark == IndexFormat.shortKeyEnds || mark == IndexFormat.longKeyEnds {
      let width = mark == IndexFormat.shortKeyEnds ? 2 : 4
      tableBytes = page.rowCount * width
      guard tableBytes <= stated - IndexFormat.keyHeaderBytes else { throw .malformed("keys") }
      own = 0
      for row in 0..<page.rowCount {
        let end =
          width == 2
          ? Int(bytes.number(at: table + row * 2, as: UInt16.self))
          : Int(bytes.number(at: table + row * 4, as: UInt32.self))
        guard end >= own else { throw .malformed("keys") }
        own = end
      }
    }
    guard IndexFormat.keyHeaderBytes + tableBytes + prefixBytes + own == stated else {
      throw .malformed("keys")
    }
  }

  private mutating func checkRows(_ page: ShardIndex.Page) throws(ShardIndexError) {
    let available = section(.pageData).upperBound - page.rows
    guard page.rowCount * page.fieldCount <= IndexFormat.maxPageFields,
      page.fieldCount <= available
    else { throw .malformed("rows") }
    for column in 0..<page.fieldCount where bytes[page.rows + column] > 8 {
      throw .malformed("rows")
    }
    let walk = RowWalk(page, in: bytes)
    let byteCount = page.fieldCount + page.rowCount * walk.rowBytes
    guard byteCount <= available else { throw .malformed("rows") }
    var offset = page.start
    for row in 0..<page.rowCount {
      if row > 0 { offset = try sum(offset, page.leadBytes) }
      for column in 0..<page.fieldCount {
        let dataOffset = try sum(offset, walk.gap(column))
        offset = try checkedEnd(dataOffset, walk.size(row: row, column: column))
      }
    }
    nextStart = offset
    nextData = page.rows + byteCount
  }

  private mutating func checkExplicitRows(_ page: ShardIndex.Page) throws(ShardIndexError) {
    let available = section(.pageData).upperBound - page.rows
    let (entries, overflow) = page.fieldCount.multipliedReportingOverflow(
      by: IndexFormat.explicitEntryBytes + 4
    )
    guard page.rowCount == 1, page.leadBytes == 0, page.timeWidth == 0, !overflow,
      available >= 8, entries <= available - 8
    else { throw .malformed("explicit rows") }
    let endPlace = page.rows + page.fieldCount * IndexFormat.explicitEntryBytes
    let end = bytes.number(at: endPlace, as: Int64.self)
    var offset = page.start
    for ordinal in page.firstField..<page.firstField + page.fieldCount {
      let place = page.rows + (ordinal - page.firstField) * IndexFormat.explicitEntryBytes
      let marked = bytes.number(at: place, as: UInt64.self)
      let dataOffset = Int64(marked & ~IndexFormat.sparseBit)
      let size = bytes.number(at: place + 8, as: Int64.self)
      guard dataOffset >= offset, dataOffset <= index.objectBytes, size >= 0 else {
        throw .malformed("explicit rows")
      }
      let isSparse = marked & IndexFormat.sparseBit != 0
      offset = isSparse ? dataOffset : try checkedEnd(dataOffset, size)
    }
    // A last member without padding ends before the block does; then the end is beyond the shard.
    guard end >= offset,
      end <= index.objectBytes || end - index.objectBytes < TarHeader.blockBytes
    else { throw .malformed("explicit rows") }
    try checkOrder(page, at: endPlace + 8)
    nextStart = end
    nextData = page.rows + entries + 8
  }

  private func checkOrder(_ page: ShardIndex.Page, at place: Int) throws(ShardIndexError) {
    var previous: Int?
    for rank in 0..<page.fieldCount {
      let column = Int(bytes.number(at: place + rank * 4, as: UInt32.self))
      guard column < page.fieldCount else { throw .malformed("order of names") }
      if let previous,
        !index.fieldName(page, previous).precedes(index.fieldName(page, column))
      {
        throw .malformed("order of names")
      }
      previous = column
    }
  }

  /// The padded end of data that must lie within the shard.
  private func checkedEnd(_ dataOffset: Int64, _ size: Int64) throws(ShardIndexError) -> Int64 {
    guard size >= 0, let end = TarExtent.end(of: size, from: dataOffset),
      end <= index.objectBytes, let padded = TarExtent.padded(end)
    else { throw .malformed("place of a member") }
    return padded
  }

  private func sum(_ offset: Int64, _ more: Int64) throws(ShardIndexError) -> Int64 {
    guard let end = TarExtent.end(of: more, from: offset) else {
      throw .malformed("place of a member")
    }
    return end
  }

  // MARK: Classes

  func checkClasses() throws(ShardIndexError) {
    let ends = section(.classEnds).lowerBound
    let classCount = try checkEnds(section(.classEnds), of: section(.classes), part: "classes")
    var start: UInt64 = 0
    for number in 0..<classCount {
      let end = bytes.number(at: ends + number * 8, as: UInt64.self)
      guard 1...UInt64(IndexFormat.maxClassBytes) ~= end - start else {
        throw .malformed("classes")
      }
      start = end
    }
    let rows = section(.classNumbers).count
    guard rows == index.sampleCount * IndexFormat.classWidth(classCount: classCount) else {
      throw .malformed("class numbers")
    }
    for sample in 0..<index.sampleCount {
      guard index.classNumber(ofSample: sample) ?? 0 < max(1, classCount) else {
        throw .malformed("class numbers")
      }
    }
  }

  // MARK: Warnings

  func checkWarnings() throws(ShardIndexError) {
    guard WarningTable.decode(bytes, section(.warnings)) != nil else {
      throw .malformed("warnings")
    }
  }
}
