/// Reads the rows of a page: sizes and times in columns of fixed width, offsets by adding up.
struct RowWalk {
  private let bytes: UnsafeRawBufferPointer
  private let page: ShardIndex.Page
  private let firstRow: Int
  private let sizesBytes: Int
  let rowBytes: Int

  /// - Parameters:
  ///   - page: Not an explicit one.
  ///   - bytes: The whole index.
  init(_ page: ShardIndex.Page, in bytes: UnsafeRawBufferPointer) {
    self.page = page
    self.bytes = bytes
    var sum = 0
    for column in 0..<page.fieldCount { sum += Int(bytes[page.rows + column]) }
    firstRow = page.rows + page.fieldCount
    sizesBytes = sum
    rowBytes = sum + page.fieldCount * page.timeWidth
  }

  func size(row: Int, column: Int) -> Int64 {
    var place = firstRow + row * rowBytes
    for earlier in 0..<column { place += width(earlier) }
    return size(at: place, width: width(column))
  }

  func time(row: Int, column: Int) -> Int64 {
    let place = firstRow + row * rowBytes + sizesBytes + column * page.timeWidth
    return page.timeBase &+ size(at: place, width: page.timeWidth)
  }

  func dataOffset(row: Int, column: Int) -> Int64 {
    var offset = rowStart(row)
    var place = firstRow + row * rowBytes
    for earlier in 0..<column {
      let width = width(earlier)
      offset += gap(earlier) + Self.padded(size(at: place, width: width))
      place += width
    }
    return offset + gap(column)
  }

  func rowStart(_ row: Int) -> Int64 {
    var offset = page.start
    for earlier in 0..<row { offset = rowEnd(earlier, from: offset) + page.leadBytes }
    return offset
  }

  /// Where a row that begins at an offset ends, with the padding of its last member.
  func rowEnd(_ row: Int, from start: Int64) -> Int64 {
    var offset = start
    var place = firstRow + row * rowBytes
    for column in 0..<page.fieldCount {
      let width = width(column)
      offset += gap(column) + Self.padded(size(at: place, width: width))
      place += width
    }
    return offset
  }

  /// Blocks before a field's data, from the end of the field before it or the sample's start.
  func gap(_ column: Int) -> Int64 {
    let place = page.layout + column * IndexFormat.layoutEntryBytes + 4
    return Int64(bytes.number(at: place, as: UInt16.self)) * Int64(TarHeader.blockBytes)
  }

  private func width(_ column: Int) -> Int { Int(bytes[page.rows + column]) }

  /// Loads eight bytes and keeps those that count; the padding at the end of an index allows it.
  private func size(at place: Int, width: Int) -> Int64 {
    let eight = bytes.number(at: place, as: UInt64.self)
    let kept = width >= 8 ? eight : eight & ((1 << UInt64(width * 8)) - 1)
    return Int64(bitPattern: kept)
  }

  private static func padded(_ sizeBytes: Int64) -> Int64 {
    let mask = Int64(TarHeader.blockBytes) - 1
    return (sizeBytes + mask) & ~mask
  }
}
