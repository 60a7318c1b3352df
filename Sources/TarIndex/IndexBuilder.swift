import CXXHash

/// A field of the sample that is being built.
struct PendingField: Sendable {
  let dataOffset: Int64
  let sizeBytes: Int64
  let modifiedSeconds: Int64
  let name: UInt32
  let isSparse: Bool
}

/// Where one field's member lies.
struct FieldPlace: Sendable {
  /// Of its first header, an extension header where it has one.
  let start: Int64
  var dataOffset: Int64

  /// Its real size; a sparse member ends elsewhere than this says.
  var sizeBytes: Int64

  /// Where its bytes in the shard end, before their padding.
  var dataEnd: Int64
  let modifiedSeconds: Int64
  var isSparse: Bool
}

/// Groups fields into samples and lays them down in the flat form, page by page.
struct IndexBuilder: Sendable {
  private(set) var sampleCount = 0
  private var fieldCount = 0

  // The sample being built; none while it has no field.
  private var key: [UInt8] = []
  private var fields: [PendingField] = []
  private var sampleStart: Int64 = 0
  private var sampleEnd: Int64 = 0
  private var gaps: [UInt16] = []
  private var isRegular = true

  /// The class of the sample being built, counted from 1; 0 where it has none.
  private var classNumber: UInt32 = 0

  /// By name: whether the sample being built has this field.
  private var isTaken: [Bool] = []
  private var names = BytePool()
  private var layouts = BytePool()
  private var classes = BytePool()

  /// Of the first complete samples; all others have none.
  private var classNumbers: [UInt32] = []
  private var layoutScratch: [UInt8] = []

  private var page = OpenPage()
  private var pageRecords: [UInt8] = []
  private var pageData: [UInt8] = []

  // MARK: Grouping

  /// Adds a field to the sample with this key, which may end the one before it.
  ///
  /// - Returns: False where the sample has this field already.
  mutating func add(
    key newKey: UnsafeRawBufferPointer,
    field: UnsafeRawBufferPointer,
    at place: FieldPlace
  ) -> Bool {
    let continues = !fields.isEmpty && key.withUnsafeBytes { $0.equals(newKey) }
    if !continues {
      endSample()
      key.removeAll(keepingCapacity: true)
      key.append(contentsOf: newKey)
      sampleStart = place.start
      sampleEnd = place.start
    }
    let name = names.number(of: field)
    if Int(name) == isTaken.count { isTaken.append(false) }
    guard !isTaken[Int(name)] else { return false }
    isTaken[Int(name)] = true
    let gap = (place.dataOffset - sampleEnd) / Int64(TarHeader.blockBytes)
    isRegular = isRegular && !place.isSparse && gap <= Int64(UInt16.max)
    gaps.append(UInt16(truncatingIfNeeded: gap))
    fields.append(
      PendingField(
        dataOffset: place.dataOffset,
        sizeBytes: place.sizeBytes,
        modifiedSeconds: place.modifiedSeconds,
        name: name,
        isSparse: place.isSparse
      )
    )
    sampleEnd = TarExtent.padded(place.dataEnd) ?? place.dataEnd
    return true
  }

  /// Says the class of the sample being built: a text, of which blanks at both ends are no part.
  mutating func setClass(_ text: UnsafeRawBufferPointer) {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    guard let first = text.firstIndex(where: { !isBlank($0) }),
      let last = text.lastIndex(where: { !isBlank($0) })
    else { return }
    classNumber = classes.number(of: UnsafeRawBufferPointer(rebasing: text[first...last])) + 1
  }

  /// Makes the sample being built a complete one.
  mutating func endSample() {
    guard !fields.isEmpty else { return }
    isRegular = isRegular && fields.count <= IndexFormat.maxPageFields
    let layout = layoutNumber()
    if isRegular {
      if !page.takes(layout: layout, fieldCount: fields.count, start: sampleStart) {
        closePage()
        page.begin(
          firstSample: sampleCount,
          firstField: fieldCount,
          start: sampleStart,
          layout: layout,
          fieldCount: fields.count
        )
      }
      page.append(fields, key: key, start: sampleStart, end: sampleEnd)
    } else {
      closePage()
      appendExplicitPage(layout: layout)
    }
    if classNumber > 0 {
      let unnamed = repeatElement(UInt32(0), count: sampleCount - classNumbers.count)
      classNumbers.append(contentsOf: unnamed)
      classNumbers.append(classNumber)
    }
    sampleCount += 1
    fieldCount += fields.count
    dropSample()
  }

  /// Forgets the sample being built.
  mutating func dropSample() {
    for field in fields { isTaken[Int(field.name)] = false }
    fields.removeAll(keepingCapacity: true)
    gaps.removeAll(keepingCapacity: true)
    isRegular = true
    classNumber = 0
  }

  private mutating func layoutNumber() -> UInt32 {
    layoutScratch.removeAll(keepingCapacity: true)
    for (field, gap) in zip(fields, gaps) {
      layoutScratch.append(littleEndian: field.name)
      layoutScratch.append(littleEndian: isRegular ? gap : 0)
    }
    return layoutScratch.withUnsafeBytes { layouts.number(of: $0) }
  }

  // MARK: Pages

  private mutating func closePage() {
    guard page.rowCount > 0 else { return }
    page.encode(record: &pageRecords, data: &pageData)
    page.begin(firstSample: 0, firstField: 0, start: 0, layout: 0, fieldCount: 0)
  }

  /// A page for one sample that is unlike others: every place is written out, and the fields'
  /// order by name, since there may be very many.
  private mutating func appendExplicitPage(layout: UInt32) {
    let pageStart = pageData.count
    KeyTable.encode(key, ends: [key.count], into: &pageData)
    let rows = pageData.count - pageStart
    for field in fields {
      let mark = field.isSparse ? IndexFormat.sparseBit : 0
      pageData.append(littleEndian: UInt64(field.dataOffset) | mark)
      pageData.append(littleEndian: field.sizeBytes)
      pageData.append(littleEndian: field.modifiedSeconds)
    }
    pageData.append(littleEndian: sampleEnd)
    for position in sortedFields() { pageData.append(littleEndian: position) }
    pageRecords.append(littleEndian: UInt32(sampleCount))
    pageRecords.append(littleEndian: UInt32(fieldCount))
    pageRecords.append(littleEndian: sampleStart)
    pageRecords.append(littleEndian: UInt64(pageStart))
    pageRecords.append(littleEndian: Int64(0))
    pageRecords.append(littleEndian: layout)
    pageRecords.append(littleEndian: UInt32(rows))
    pageRecords.append(littleEndian: UInt16(0))
    pageRecords.append(0)
    pageRecords.append(1)
  }

  private func sortedFields() -> [UInt32] {
    names.bytes.withUnsafeBytes { bytes in
      func name(_ position: UInt32) -> UnsafeRawBufferPointer {
        let number = Int(fields[Int(position)].name)
        let start = number == 0 ? 0 : Int(names.ends[number - 1])
        return UnsafeRawBufferPointer(rebasing: bytes[start..<Int(names.ends[number])])
      }
      return (0..<UInt32(fields.count)).sorted { name($0).precedes(name($1)) }
    }
  }

  // MARK: The flat form

  /// Lays out the complete samples so far.
  ///
  /// - Complexity: About that of copying and hashing the result.
  func serialized(
    objectBytes: Int64,
    isComplete: Bool,
    damage: TarDamage?,
    warnings: [UInt8]
  ) -> IndexStorage {
    var lastRecord: [UInt8] = []
    var lastData: [UInt8] = []
    if page.rowCount > 0 {
      page.encode(record: &lastRecord, data: &lastData)
      // Its place in the whole.
      lastRecord.replaceSubrange(
        IndexFormat.Page.data..<IndexFormat.Page.data + 8,
        with: withUnsafeBytes(of: UInt64(pageData.count).littleEndian) { Array($0) }
      )
    }
    let rows = classRows()
    let sectionBytes = [
      pageRecords.count + lastRecord.count, pageData.count + lastData.count,
      layouts.ends.count * 8, layouts.bytes.count, names.ends.count * 8, names.bytes.count,
      classes.ends.count * 8, classes.bytes.count, rows.count, warnings.count,
      IndexFormat.paddingBytes,
    ]
    var header: [UInt8] = []
    header.append(littleEndian: IndexFormat.magic)
    header.append(littleEndian: UInt64(0))
    header.append(littleEndian: IndexFormat.version)
    header.append(littleEndian: isComplete ? IndexFormat.completeFlag : 0)
    header.append(
      littleEndian: UInt64(sectionBytes.reduce(IndexFormat.headerBytes, +))
    )
    header.append(littleEndian: objectBytes)
    header.append(littleEndian: UInt64(sampleCount))
    header.append(littleEndian: UInt64(fieldCount))
    header.append(littleEndian: damage?.offset ?? 0)
    header.append(littleEndian: damage?.errorClass.rawValue ?? 0)
    header.append(littleEndian: UInt32(0))
    for count in sectionBytes { header.append(littleEndian: UInt64(count)) }
    return IndexStorage(byteCount: sectionBytes.reduce(header.count, +)) { target in
      var writer = SectionWriter(target: target)
      for part in [header, pageRecords, lastRecord, pageData, lastData] { writer.write(part) }
      writer.write(layouts.ends)
      writer.write(layouts.bytes)
      writer.write(names.ends)
      writer.write(names.bytes)
      writer.write(classes.ends)
      writer.write(classes.bytes)
      writer.write(rows)
      writer.write(warnings)
      writer.write([UInt8](repeating: 0, count: IndexFormat.paddingBytes))
      IndexFormat.seal(target)
    }
  }
}

extension IndexBuilder {
  /// The class number of each complete sample, in as few bytes as all need.
  private func classRows() -> [UInt8] {
    let width = IndexFormat.classWidth(classCount: classes.count)
    var rows: [UInt8] = []
    rows.reserveCapacity(sampleCount * width)
    guard width > 0 else { return rows }
    for number in classNumbers { rows.append(lowest: width, of: UInt64(number)) }
    let rest = (sampleCount - classNumbers.count) * width
    rows.append(contentsOf: repeatElement(0, count: rest))
    return rows
  }
}

private struct SectionWriter {
  let target: UnsafeMutableRawBufferPointer
  private var position = 0

  init(target: UnsafeMutableRawBufferPointer) {
    self.target = target
  }

  mutating func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { source in
      UnsafeMutableRawBufferPointer(rebasing: target[position..<position + source.count])
        .copyMemory(from: source)
    }
    position += bytes.count
  }

  mutating func write(_ numbers: [UInt64]) {
    #if _endian(little)
    numbers.withUnsafeBytes { source in
      UnsafeMutableRawBufferPointer(rebasing: target[position..<position + source.count])
        .copyMemory(from: source)
    }
    position += numbers.count * 8
    #else
    for number in numbers {
      target.storeBytes(of: number.littleEndian, toByteOffset: position, as: UInt64.self)
      position += 8
    }
    #endif
  }
}

extension IndexFormat {
  /// The checksum of an index that has at least a header.
  static func checksum(of index: UnsafeRawBufferPointer) -> UInt64 {
    let checked = UnsafeRawBufferPointer(rebasing: index[checkedFrom...])
    return wdsfs_xxh3_64(checked.baseAddress, checked.count, 0)
  }

  /// Writes the checksum into its place.
  static func seal(_ index: UnsafeMutableRawBufferPointer) {
    let sum = checksum(of: UnsafeRawBufferPointer(index))
    index.storeBytes(of: sum.littleEndian, toByteOffset: Header.checksum, as: UInt64.self)
  }
}
