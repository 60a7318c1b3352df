import Remote
import TarIndex

/// An archive that was walked, and what came of it in words that a test can compare.
struct Walk {
  let index: ShardIndex
  let archive: [UInt8]

  /// Feeds an archive whole, or in pieces that end at the given offsets.
  init(_ archive: [UInt8], cuts: [Int] = [], limits: TarLimits = TarLimits()) {
    self.archive = archive
    var scanner = TarScanner(objectBytes: Int64(archive.count), limits: limits)
    var start = 0
    for end in cuts + [archive.count] {
      archive.withUnsafeBytes { bytes in
        scanner.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: Int64(start))
      }
      start = end
    }
    index = scanner.snapshot()
  }

  var errorName: String? { index.damage?.errorClass.name }

  /// Class and count of each warning.
  var warnings: [String: Int] {
    Dictionary(uniqueKeysWithValues: index.warnings.map { ($0.warningClass.name, $0.count) })
  }

  /// Samples as `key: field=size field=size`.
  var samples: [String] { (0..<index.sampleCount).map { Self.describe($0, of: index) } }

  var serialized: [UInt8] { index.withSerialized { Array($0) } }

  /// The bytes of a field, found by a file name.
  func content(_ fileName: String, inSample sample: Int) -> [UInt8]? {
    let ordinal = Array(fileName.utf8).withUnsafeBytes {
      index.ordinal(named: $0, inSample: sample)
    }
    guard let ordinal else { return nil }
    let member = index.member(ordinal)
    let start = Int(member.dataOffset)
    return Array(archive[start..<start + Int(member.sizeBytes)])
  }

  static func describe(_ sample: Int, of index: ShardIndex) -> String {
    let fields = index.fieldOrdinals(ofSample: sample).map { ordinal in
      let member = index.member(ordinal)
      let mark = member.isSparse ? "~" : "="
      return index.withFieldName(ordinal) { "\(PrintableName.text($0))\(mark)\(member.sizeBytes)" }
    }
    let key = index.withKey(ofSample: sample) { PrintableName.text($0) }
    return "\(key): \(fields.joined(separator: " "))"
  }

  static func listedNames(_ sample: Int, of index: ShardIndex) -> [String] {
    index.fieldOrdinals(ofSample: sample).map { ordinal in
      var scratch = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
      let count = scratch.withUnsafeMutableBytes {
        index.writeListedName(ofField: ordinal, inSample: sample, into: $0)
      }
      return PrintableName.text(scratch[..<count])
    }
  }
}
