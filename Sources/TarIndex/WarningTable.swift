/// The warnings of one walk, counted by class.
struct WarningTable: Sendable {
  private var warnings: [TarWarning?]

  init() {
    warnings = Array(repeating: nil, count: TarWarningClass.allCases.count)
  }

  mutating func add(_ warningClass: TarWarningClass, name: UnsafeRawBufferPointer? = nil) {
    let place = Int(warningClass.rawValue) - 1
    let before = warnings[place]
    warnings[place] = TarWarning(
      warningClass: warningClass,
      count: (before?.count ?? 0) + 1,
      firstName: before?.firstName
        ?? Array(
          (name ?? .init(start: nil, count: 0))
            .prefix(TarWarning.maxNameBytes)
        )
    )
  }

  /// Class, count and length of the name, then the name; in order of class.
  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for case let warning? in warnings {
      bytes.append(littleEndian: warning.warningClass.rawValue)
      bytes.append(littleEndian: UInt64(warning.count))
      bytes.append(littleEndian: UInt32(warning.firstName.count))
      bytes.append(contentsOf: warning.firstName)
    }
    return bytes
  }

  /// Reads the section of an index; nil where it is malformed.
  static func decode(_ bytes: UnsafeRawBufferPointer, _ section: Range<Int>) -> [TarWarning]? {
    var warnings: [TarWarning] = []
    var position = section.lowerBound
    while position < section.upperBound {
      guard section.upperBound - position >= 16 else { return nil }
      let number = bytes.number(at: position, as: UInt32.self)
      let count = bytes.number(at: position + 4, as: UInt64.self)
      let nameBytes = Int(bytes.number(at: position + 12, as: UInt32.self))
      position += 16
      guard let warningClass = TarWarningClass(rawValue: number),
        number > warnings.last?.warningClass.rawValue ?? 0,
        count > 0, count <= UInt64(Int64.max),
        nameBytes <= TarWarning.maxNameBytes, nameBytes <= section.upperBound - position
      else { return nil }
      warnings.append(
        TarWarning(
          warningClass: warningClass,
          count: Int(count),
          firstName: Array(bytes[position..<position + nameBytes])
        )
      )
      position += nameBytes
    }
    return warnings
  }
}

extension ShardIndex {
  /// What was odd in the shard, by class.
  package var warnings: [TarWarning] {
    let section = sections[IndexFormat.Section.warnings.rawValue]
    return WarningTable.decode(storage.bytes, section) ?? []
  }
}
