import Crypto
import Decompression
import TarIndex

/// What a whole shard in memory gives: the road that a mount takes, without the mount.
struct ShardReading {
  struct Field: Hashable {
    let name: [UInt8]
    let listedName: [UInt8]
    let bareName: [UInt8]
    let sizeBytes: Int64
    let isSparse: Bool

    /// Hex; empty where the member is sparse.
    let sha256: String

    /// Whether each name leads back to this field.
    let listedLeadsBack: Bool
    let bareLeadsBack: Bool
  }

  struct Sample: Hashable {
    let key: [UInt8]
    let fields: [Field]
  }

  var errorClass: TarErrorClass?
  var warnings: Set<String> = []
  var samples: [Sample] = []

  init(_ object: [UInt8]) {
    let content = object.withUnsafeBytes {
      ShardContent.detect(firstBytes: UnsafeRawBufferPointer(rebasing: $0.prefix(512)))
    }
    switch content {
    case .tar: walk(object)
    case .compressed(let format):
      do {
        walk(try decompress(object, format))
      } catch {
        errorClass = error.errorClass
      }
    default: errorClass = content.rejection
    }
  }

  private mutating func decompress(
    _ object: [UInt8],
    _ format: CompressionFormat
  ) throws(DecompressionError) -> [UInt8] {
    let decompressor = try Decompressor(format, maxOutputBytes: 1 << 30)
    var tar: [UInt8] = []
    let result = object.withUnsafeBytes { bytes -> Result<Void, DecompressionError> in
      do throws(DecompressionError) {
        try decompressor.decompress(bytes) { tar.append(contentsOf: $0) }
        try decompressor.finish()
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
    if decompressor.hasTrailingData { warnings.insert(TarWarningClass.trailingData.name) }
    return tar
  }

  private mutating func walk(_ tar: [UInt8]) {
    var scanner = TarScanner(objectBytes: Int64(tar.count))
    tar.withUnsafeBytes { scanner.feed($0, at: 0) }
    let index = scanner.snapshot()
    errorClass = index.damage?.errorClass
    for warning in index.warnings { warnings.insert(warning.warningClass.name) }
    samples = (0..<index.sampleCount).map { Self.sample($0, of: index, in: tar) }
  }

  private static func sample(_ number: Int, of index: ShardIndex, in tar: [UInt8]) -> Sample {
    let fields = index.fieldOrdinals(ofSample: number).map { ordinal in
      let member = index.member(ordinal)
      var scratch = [UInt8](repeating: 0, count: SampleName.maxFileNameBytes)
      let listedBytes = scratch.withUnsafeMutableBytes {
        index.writeListedName(ofField: ordinal, inSample: number, into: $0)
      }
      let listed = Array(scratch[..<listedBytes])
      let bareBytes = scratch.withUnsafeMutableBytes {
        index.writeBareName(ofField: ordinal, inSample: number, into: $0)
      }
      let bare = Array(scratch[..<bareBytes])
      return Field(
        name: index.withFieldName(ordinal) { Array($0) },
        listedName: listed,
        bareName: bare,
        sizeBytes: member.sizeBytes,
        isSparse: member.isSparse,
        sha256: member.isSparse
          ? ""
          : hex(SHA256.hash(data: tar[Int(member.dataOffset)...].prefix(Int(member.sizeBytes)))),
        listedLeadsBack: listed.withUnsafeBytes {
          index.ordinal(named: $0, inSample: number) == ordinal
        },
        bareLeadsBack: bare.withUnsafeBytes {
          index.ordinal(named: $0, inSample: number) == ordinal
        }
      )
    }
    return Sample(key: index.withKey(ofSample: number) { Array($0) }, fields: fields)
  }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { byte in
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }.joined()
}
