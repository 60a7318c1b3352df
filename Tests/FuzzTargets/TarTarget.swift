import TarIndex

/// Tars and their indexes: whatever comes, every question to what comes of it has a sound answer.
enum TarTarget {
  static func run(_ input: [UInt8]) {
    let whole = walk(input, cut: nil)
    hold(whole.isComplete, "the walk has not ended")
    // Where it is cut makes no difference.
    let cut = input.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % (input.count + 1)
    let other = walk(input, cut: cut)
    let isSame = whole.withSerialized { bytes in
      other.withSerialized { bytes.elementsEqual($0) }
    }
    hold(isSame, "fed in two pieces it gives another index")
    let again = whole.withSerialized { try? ShardIndex(validating: IndexStorage(copying: $0)) }
    guard let again else { return hold(false, "its own index is refused") }
    ask(again)
  }

  static func runIndex(_ input: [UInt8]) {
    let index = input.withUnsafeBytes {
      try? ShardIndex(validating: IndexStorage(copying: $0))
    }
    if let index { ask(index) }
  }

  /// The index of a tar, as it lies on disk: what changed indexes are made from.
  static func index(of tar: [UInt8]) -> [UInt8] {
    walk(tar, cut: nil).withSerialized { Array($0) }
  }

  private static func walk(_ input: [UInt8], cut: Int?) -> ShardIndex {
    var scanner = TarScanner(objectBytes: Int64(input.count))
    var start = 0
    for end in [cut, input.count].compactMap({ $0 }) {
      input.withUnsafeBytes { bytes in
        scanner.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: Int64(start))
      }
      start = end
    }
    return scanner.snapshot()
  }

  private static func ask(_ index: ShardIndex) {
    var scratch = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
    for sample in 0..<index.sampleCount {
      let span = index.span(ofSample: sample)
      hold(
        span.lowerBound >= 0 && span.upperBound <= index.objectBytes,
        "a sample out of its shard"
      )
      for ordinal in index.fieldOrdinals(ofSample: sample) {
        let member = index.member(ordinal)
        hold(index.sampleNumber(ofField: ordinal) == sample, "a field of another sample")
        hold(member.sizeBytes >= 0, "a negative size")
        if !member.isSparse {
          let (end, isOver) = member.dataOffset.addingReportingOverflow(member.sizeBytes)
          hold(
            !isOver && member.dataOffset >= 0 && end <= index.objectBytes,
            "bytes out of the shard"
          )
        }
        let count = scratch.withUnsafeMutableBytes {
          index.writeListedName(ofField: ordinal, inSample: sample, into: $0)
        }
        checkName(scratch[..<count])
        let bareCount = scratch.withUnsafeMutableBytes {
          index.writeBareName(ofField: ordinal, inSample: sample, into: $0)
        }
        checkName(scratch[..<bareCount])
        scratch[..<bareCount].withUnsafeBytes {
          _ = index.ordinal(named: $0, inSample: sample)
        }
      }
    }
    _ = index.warnings
  }

  /// A name that a directory may list: nothing in a tar leads out of its folder.
  private static func checkName(_ name: ArraySlice<UInt8>) {
    hold((1...255).contains(name.count), "a name of \(name.count) bytes")
    hold(!name.contains(0) && !name.contains(UInt8(ascii: "/")), "a name with a slash or a zero")
    hold(
      !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8),
      "a name that is a folder's"
    )
  }
}
