import Crypto
package import Remote

/// What tells whether a split's shards are those that a cursor was written for.
package enum DatasetFingerprint {
  /// The fingerprint of shards, for people to compare as well.
  ///
  /// - Parameter shards: In the order of the split, which the cursor's shard numbers go by.
  /// - Returns: Their number, their bytes, and 128 bits of a SHA-256 over keys, sizes and ETags.
  package static func text(of shards: some Collection<ObjectInfo>) -> String {
    var hash = SHA256()
    var totalBytes: Int64 = 0
    for shard in shards {
      totalBytes &+= shard.sizeBytes
      // Lengths go before the texts, so that no two lists give the same bytes.
      add(shard.key.bytes, to: &hash)
      add(Array("\(shard.sizeBytes)".utf8), to: &hash)
      add(Array(shard.eTag.utf8), to: &hash)
    }
    let digits = hash.finalize().prefix(16).map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return "\(shards.count) shards, \(totalBytes) bytes, \(digits.joined())"
  }

  private static func add(_ bytes: [UInt8], to hash: inout SHA256) {
    withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hash.update(bufferPointer: $0) }
    bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
  }
}
