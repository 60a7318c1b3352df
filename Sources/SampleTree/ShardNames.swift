package import Remote
import TarIndex

/// The names that a split's shards have in `/.shards`, and the way back.
///
/// A shard is called by its key below the folder that all shards of the split share, spelled like
/// a field (format page, section 6), so that no two of a split have one name: `a-000000.tar`, and
/// `%%x%2Fa-000000.tar` where some lie in folders below. Four bytes a shard, and none where the
/// shards are sorted by key.
package struct ShardNames: Sendable {
  /// A name leaves room for the `.d` of the folder of the shard's samples.
  static let maxBytes = SampleName.maxFileNameBytes - 2

  /// How many bytes of each key are left out.
  let folderCount: Int

  /// Places by ascending key; nil where that is their own order.
  private let sorted: [Int32]?

  /// - Parameter keys: By place in the split.
  /// - Complexity: O(n), and a sort where the keys are not sorted.
  package init(keys: some RandomAccessCollection<ObjectKey>) {
    let keys = Array(keys)
    folderCount = Self.sharedFolderCount(keys)
    let isSorted = zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }
    sorted =
      isSorted ? nil : keys.indices.map { Int32($0) }.sorted { keys[Int($0)] < keys[Int($1)] }
  }

  private static func sharedFolderCount(_ keys: [ObjectKey]) -> Int {
    guard let first = keys.first?.bytes else { return 0 }
    var count = (first.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1
    for key in keys.dropFirst() where count > 0 {
      let shared = zip(first[..<count], key.bytes).prefix { $0 == $1 }.count
      guard shared < count else { continue }
      count = (first[..<shared].lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1
    }
    return count
  }

  /// The name of the shard with that key.
  package func name(of key: ObjectKey) -> [UInt8] {
    key.bytes[folderCount...].withUnsafeBytes { Self.name(of: $0) }
  }

  private static func name(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    return [UInt8](unsafeUninitializedCapacity: SampleName.maxFileNameBytes) { name, count in
      count = SampleName.writeFileName(
        nothing,
        bytes,
        into: UnsafeMutableRawBufferPointer(name),
        maxBytes: maxBytes
      )
    }
  }

  /// The place of the shard that has a name.
  ///
  /// - Parameters:
  ///   - name: As the kernel gives it.
  ///   - count: The split's number of shards.
  ///   - key: By place.
  /// - Returns: nil where no shard is called so.
  /// - Complexity: O(log n); O(n) for a name that shows a digest.
  package func place(
    named name: UnsafeRawBufferPointer,
    count: Int,
    key: (_ place: Int) -> ObjectKey
  ) -> Int? {
    guard name.count <= Self.maxBytes else { return nil }
    if SampleName.isDigestName(name) {
      return (0..<count).first { place in
        let bytes = key(place).bytes
        return bytes.count - folderCount >= Self.maxBytes / 3
          && self.name(of: key(place)).elementsEqual(name)
      }
    }
    return withUnsafeTemporaryAllocation(byteCount: SampleName.maxFileNameBytes, alignment: 1) {
      scratch in
      guard let length = SampleName.readFileName(name, into: scratch) else { return nil }
      let wanted = UnsafeRawBufferPointer(rebasing: scratch[..<length])
      var (low, high) = (0, count)
      while low < high {
        let middle = (low + high) / 2
        let found = key(place(ofRank: middle)).bytes[folderCount...]
        if found.lexicographicallyPrecedes(wanted) {
          low = middle + 1
        } else {
          high = middle
        }
      }
      guard low < count else { return nil }
      let place = place(ofRank: low)
      return key(place).bytes[folderCount...].elementsEqual(wanted) ? place : nil
    }
  }

  private func place(ofRank rank: Int) -> Int { sorted.map { Int($0[rank]) } ?? rank }
}
