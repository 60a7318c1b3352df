/// Samples of one layout that follow each other, on their way into a page of the index.
struct OpenPage: Sendable {
  private(set) var rowCount = 0
  private(set) var end: Int64 = 0
  private var firstSample: UInt32 = 0
  private var firstField: UInt32 = 0
  private var start: Int64 = 0
  private var layout: UInt32 = 0
  private var fieldCount = 0
  private var leadBytes: Int64 = 0
  private var sizes: [Int64] = []
  private var times: [Int64] = []
  private var keys: [UInt8] = []
  private var keyEnds: [Int] = []

  /// Whether a sample can be this page's next row.
  func takes(layout: UInt32, fieldCount: Int, start: Int64) -> Bool {
    guard rowCount > 0, rowCount < IndexFormat.maxPageRows, layout == self.layout,
      (rowCount + 1) * fieldCount <= IndexFormat.maxPageFields
    else { return false }
    let lead = start - end
    guard rowCount > 1 else {
      return lead <= Int64(UInt16.max) * Int64(TarHeader.blockBytes)
    }
    return lead == leadBytes
  }

  mutating func begin(
    firstSample: Int,
    firstField: Int,
    start: Int64,
    layout: UInt32,
    fieldCount: Int
  ) {
    self.firstSample = UInt32(firstSample)
    self.firstField = UInt32(firstField)
    self.start = start
    self.layout = layout
    self.fieldCount = fieldCount
    rowCount = 0
    leadBytes = 0
    sizes.removeAll(keepingCapacity: true)
    times.removeAll(keepingCapacity: true)
    keys.removeAll(keepingCapacity: true)
    keyEnds.removeAll(keepingCapacity: true)
  }

  mutating func append(_ fields: [PendingField], key: [UInt8], start: Int64, end: Int64) {
    if rowCount == 1 { leadBytes = start - self.end }
    for field in fields {
      sizes.append(field.sizeBytes)
      times.append(field.modifiedSeconds)
    }
    keys.append(contentsOf: key)
    keyEnds.append(keys.count)
    rowCount += 1
    self.end = end
  }

  /// Appends the page's record and data.
  func encode(record: inout [UInt8], data: inout [UInt8]) {
    let pageStart = data.count
    KeyTable.encode(keys, ends: keyEnds, into: &data)
    let rows = data.count - pageStart
    var widths = [Int](repeating: 0, count: fieldCount)
    for position in sizes.indices {
      let width = byteWidth(UInt64(bitPattern: sizes[position]))
      widths[position % fieldCount] = max(widths[position % fieldCount], width)
    }
    let timeBase = times.min() ?? 0
    let timeSpan = UInt64(bitPattern: (times.max() ?? 0) &- timeBase)
    let timeWidth = byteWidth(timeSpan)
    for width in widths { data.append(UInt8(width)) }
    for row in 0..<rowCount {
      let first = row * fieldCount
      for column in 0..<fieldCount {
        data.append(lowest: widths[column], of: UInt64(bitPattern: sizes[first + column]))
      }
      guard timeWidth > 0 else { continue }
      for column in 0..<fieldCount {
        data.append(lowest: timeWidth, of: UInt64(bitPattern: times[first + column] &- timeBase))
      }
    }
    record.append(littleEndian: firstSample)
    record.append(littleEndian: firstField)
    record.append(littleEndian: start)
    record.append(littleEndian: UInt64(pageStart))
    record.append(littleEndian: timeBase)
    record.append(littleEndian: layout)
    record.append(littleEndian: UInt32(rows))
    record.append(littleEndian: UInt16(leadBytes / Int64(TarHeader.blockBytes)))
    record.append(UInt8(timeWidth))
    record.append(0)
  }

  private func byteWidth(_ number: UInt64) -> Int {
    (64 - number.leadingZeroBitCount + 7) / 8
  }
}

/// The keys of a page: what they have in common once, then what each has of its own.
enum KeyTable {
  static func encode(_ keys: [UInt8], ends: [Int], into data: inout [UInt8]) {
    let prefix = commonPrefix(keys, ends: ends)
    var start = 0
    var suffixBytes: Int?
    var isFixed = true
    for end in ends {
      let count = end - start - prefix
      isFixed = isFixed && (suffixBytes ?? count) == count
      suffixBytes = count
      start = end
    }
    let ownBytes = keys.count - prefix * ends.count
    let isShort = ownBytes <= Int(UInt16.max)
    data.append(littleEndian: UInt32(prefix))
    data.append(
      littleEndian: isFixed
        ? UInt32(suffixBytes ?? 0) : isShort ? IndexFormat.shortKeyEnds : IndexFormat.longKeyEnds
    )
    if !isFixed {
      for (row, end) in ends.enumerated() {
        let ownEnd = UInt64(end - prefix * (row + 1))
        data.append(lowest: isShort ? 2 : 4, of: ownEnd)
      }
    }
    data.append(contentsOf: keys[..<prefix])
    start = 0
    for end in ends {
      data.append(contentsOf: keys[start + prefix..<end])
      start = end
    }
  }

  private static func commonPrefix(_ keys: [UInt8], ends: [Int]) -> Int {
    guard var common = ends.first else { return 0 }
    for row in ends.indices.dropFirst() {
      let start = ends[row - 1]
      common = min(common, ends[row] - start)
      var count = 0
      while count < common, keys[count] == keys[start + count] { count += 1 }
      common = count
    }
    return common
  }
}
