/// An aligned piece of a shard, the unit of the cache.
struct ChunkID: Hashable, Sendable {
  let shard: Int32
  let plane: BytePlane
  let number: Int32

  /// Large enough that a request's cost is spread over many samples, small enough that a random
  /// sample of a large shard costs one request of no more than this.
  static let sizeBytes = 1 << 20

  /// The chunks that hold a byte range.
  static func numbers(holding range: Range<Int64>) -> Range<Int32> {
    guard !range.isEmpty else { return 0..<0 }
    let size = Int64(sizeBytes)
    return Int32(
      clamping: range.lowerBound / size
    )..<Int32(clamping: (range.upperBound - 1) / size + 1)
  }

  /// Where the chunk begins in its plane.
  var startOffset: Int64 { Int64(number) * Int64(Self.sizeBytes) }

  /// What of a plane's bytes lies in the chunk, as bytes of the chunk.
  func part(of bytes: Range<Int64>) -> Range<Int> {
    let end = startOffset + Int64(Self.sizeBytes)
    let inside = bytes.clamped(to: startOffset..<end)
    return Int(inside.lowerBound - startOffset)..<Int(inside.upperBound - startOffset)
  }

  /// How many bytes of a plane of that size the chunk holds; 0 beyond the end.
  func lengthBytes(ofPlane planeBytes: Int64) -> Int {
    Int(max(0, min(Int64(Self.sizeBytes), planeBytes - startOffset)))
  }
}

/// Which bytes of a shard an offset counts in.
package enum BytePlane: UInt8, Hashable, Sendable {
  /// The object as it lies in the store.
  case stored

  /// The tar that a compressed object holds.
  case inflated
}
