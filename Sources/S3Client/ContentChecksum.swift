import Crypto

/// A checksum that a store sends with a whole object, and what has come of the object so far.
///
/// Amazon S3 sends `x-amz-checksum-*` when asked to, Google's S3 interface `x-goog-hash`. A checksum
/// of the parts of an upload ("composite", with `-` and their number) says nothing about the bytes in
/// a row and is left alone.
package struct ContentChecksum {
  private enum Digest {
    case cyclic(CyclicChecksum)
    case sha1(Insecure.SHA1)
    case sha256(SHA256)
  }

  /// For messages, for example `crc32c`.
  package let name: String
  private let expected: String
  private var digest: Digest

  /// The checksum of a reply with the whole object; nil where it has none that can be computed here.
  package init?(_ head: ReplyHead) {
    guard head["x-amz-checksum-type"]?.uppercased() != "COMPOSITE" else { return nil }
    for name in ["crc64nvme", "crc32c", "crc32", "sha256", "sha1"] {
      guard let text = head["x-amz-checksum-" + name], !text.contains("-") else { continue }
      self.init(name, text)
      return
    }
    let google = head["x-goog-hash"]?.split(separator: ",").map { $0.drop { $0 == " " } }
    guard let text = google?.first(where: { $0.hasPrefix("crc32c=") }) else { return nil }
    self.init("crc32c", String(text.dropFirst("crc32c=".count)))
  }

  private init(_ name: String, _ expected: String) {
    self.name = name
    self.expected = expected
    digest =
      switch name {
      case "crc64nvme": .cyclic(.crc64NVME)
      case "crc32c": .cyclic(.crc32C)
      case "crc32": .cyclic(.crc32)
      case "sha256": .sha256(SHA256())
      default: .sha1(Insecure.SHA1())
      }
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    switch digest {
    case .cyclic(var sum):
      sum.update(bytes)
      digest = .cyclic(sum)
    case .sha1(var hash):
      hash.update(bufferPointer: bytes)
      digest = .sha1(hash)
    case .sha256(var hash):
      hash.update(bufferPointer: bytes)
      digest = .sha256(hash)
    }
  }

  /// Whether the bytes are those that the store has.
  package var isRight: Bool {
    let bytes: [UInt8] =
      switch digest {
      case .cyclic(let sum): sum.bytes
      case .sha1(let hash): Array(hash.finalize())
      case .sha256(let hash): Array(hash.finalize())
      }
    return Base64.text(of: bytes) == expected
  }
}
