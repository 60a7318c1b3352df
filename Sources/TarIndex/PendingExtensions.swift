/// What extension headers said of the member to come.
///
/// Where several headers say the same thing the first one counts, as in the reference reader, which
/// applies the outermost last.
struct PendingExtensions: Sendable {
  /// Extension headers in a row.
  private(set) var count = 0

  /// Offset of the first of them; nil without any.
  private(set) var start: Int64?
  private(set) var lastHeader: Int64 = 0

  /// Whether one of them needs a member to follow.
  var isDangling = false

  private(set) var size: Int64?
  private(set) var modifiedSeconds: Int64?
  private(set) var sparse = SparseRecords()
  private var hasSparse = false

  // Buffers are kept from member to member, so that long names cost no allocation each.
  private var longName: [UInt8] = []
  private var hasLongName = false
  private var path: [UInt8] = []
  private var hasPath = false
  private var pathEndsInSlash = false
  private var sparseName: [UInt8] = []
  private var hasSparseName = false

  mutating func note(headerAt offset: Int64) {
    count += 1
    start = start ?? offset
    lastHeader = offset
  }

  mutating func setLongName(_ body: UnsafeRawBufferPointer) {
    isDangling = true
    guard !hasLongName else { return }
    hasLongName = true
    longName.removeAll(keepingCapacity: true)
    longName.append(contentsOf: body.prefix { $0 != 0 })
  }

  mutating func merge(_ records: PaxRecords, of body: UnsafeRawBufferPointer) {
    isDangling = true
    size = size ?? records.size
    modifiedSeconds = modifiedSeconds ?? records.modifiedSeconds
    if let range = records.path, !hasPath {
      hasPath = true
      path.removeAll(keepingCapacity: true)
      path.append(contentsOf: body[range])
      pathEndsInSlash = path.last == UInt8(ascii: "/")
      while path.last == UInt8(ascii: "/") { path.removeLast() }
    }
    if let range = records.sparse.name, !hasSparseName {
      hasSparseName = true
      sparseName.removeAll(keepingCapacity: true)
      sparseName.append(contentsOf: body[range])
    }
    if !hasSparse, records.sparse.isPresent {
      hasSparse = true
      sparse = records.sparse
    }
  }

  /// Writes the name of the member whose header this is.
  func writeName(of header: TarHeader, into name: inout [UInt8]) {
    name.removeAll(keepingCapacity: true)
    if hasSparseName {
      name.append(contentsOf: sparseName)
    } else if hasPath {
      name.append(contentsOf: path)
    } else if hasLongName {
      name.append(contentsOf: longName)
    } else {
      let prefix = header.prefix
      if !prefix.isEmpty {
        name.append(contentsOf: prefix)
        name.append(UInt8(ascii: "/"))
      }
      name.append(contentsOf: header.name)
    }
  }

  /// Whether the member's name ends in a slash, as V7 archives mark a directory.
  ///
  /// The header alone does not say so where a longer name was cut off at a slash.
  func endsInSlash(_ header: TarHeader) -> Bool {
    if hasPath { return pathEndsInSlash }
    return (hasLongName ? longName.last : header.name.last) == UInt8(ascii: "/")
  }

  /// Forgets everything but the buffers.
  mutating func reset() {
    guard count > 0 else { return }
    count = 0
    start = nil
    isDangling = false
    size = nil
    modifiedSeconds = nil
    if hasSparse { sparse = SparseRecords() }
    hasSparse = false
    hasLongName = false
    hasPath = false
    hasSparseName = false
  }
}
