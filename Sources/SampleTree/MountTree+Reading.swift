import Remote
import ShardCache
import TarIndex

/// The bytes of files, shown where they lie.
extension MountTree {
  /// Shows the body a part of a file, in one or two pieces.
  ///
  /// What lies beyond the file's end is left out; an empty part is shown as two empty pieces.
  ///
  /// - Parameters:
  ///   - inode: Of a file.
  ///   - offset: In bytes from the file's start.
  ///   - count: At most `ShardReader.maxReadBytes`.
  ///   - body: Called once where the bytes are there; they stay put meanwhile.
  /// - Returns: What the body returns.
  /// - Throws: `Obstacle`.
  package func read<Value>(
    _ inode: UInt64,
    at offset: Int64,
    count: Int,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Value
  ) throws(Obstacle) -> Value {
    let node = try node(inode)
    switch node {
    case .field(let number, let position, let field):
      let pass = try pass(number)
      let (sample, ordinal) = try self.field(field, at: position, in: pass)
      let member = sample.index.member(ordinal)
      guard !member.isSparse else {
        let shard = cache.shards[sample.shard].key
        throw .failure(.sparseField(path: path(of: node), shard: shard))
      }
      advance(pass, to: position, at: sample)
      if offset == 0 { noteRead(of: ordinal, sample, position, of: pass) }
      if let decoding, let rule = decoding.rule(ofField: field) {
        if let (field, bytes) = try decodedBytes(of: rule, ordinal, sample, at: node, decoding) {
          let range = Self.clip(offset, count, to: Int64(bytes.count), from: 0)
          if range.upperBound == bytes.count { decoding.noteRead(field) }
          serve(position, of: pass, sample, isError: false)
          return Self.show(range, of: bytes, body)
        }
      }
      return try read(
        Self.clip(offset, count, to: member.sizeBytes, from: member.dataOffset),
        ofShard: sample.shard,
        plane: sample.plane
      ) { first, second in
        // Before the answer: the kernel must have let go of a listing that ends with this sample
        // when its reader comes back for the next. The cursor is saved a while later.
        serve(position, of: pass, sample, isError: false)
        return body(first, second)
      }
    case .stream(let number):
      return try readStream(try pass(number), at: offset, count: count) { body($0, Self.nothing) }
    case .shardFile(let split, let place):
      guard holds(split: split, place: place) else { throw .failure(.noSuchEntry) }
      let shard = dataset.splits[split].shards[place]
      advanceShardFile(place, ofSplit: split, to: max(0, offset), count: count)
      let range = Self.clip(offset, count, to: cache.shards[shard].sizeBytes, from: 0)
      return try read(range, ofShard: shard, plane: .stored, body)
    case .snapshot(let number):
      guard let bytes = controls.bytes(of: number) else { throw .failure(.noSuchEntry) }
      let range = Self.clip(offset, count, to: Int64(bytes.count), from: 0)
      return Self.show(range, of: bytes, body)
    default: throw .failure(.isADirectory)
    }
  }

  private static func show<Value>(
    _ range: Range<Int64>,
    of bytes: [UInt8],
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Value
  ) -> Value {
    bytes.withUnsafeBytes { all in
      let part = all[Int(range.lowerBound)..<Int(range.upperBound)]
      return body(UnsafeRawBufferPointer(rebasing: part), nothing)
    }
  }

  private static var nothing: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: nil, count: 0)
  }

  private func read<Value>(
    _ range: Range<Int64>,
    ofShard shard: Int,
    plane: BytePlane,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Value
  ) throws(Obstacle) -> Value {
    if range.isEmpty { return body(Self.nothing, Self.nothing) }
    if let value = cache.withBytes(range, ofShard: shard, plane: plane, body) { return value }
    throw .pending(.bytes(range, shard: shard, plane: plane))
  }

  private static func clip(
    _ offset: Int64,
    _ count: Int,
    to sizeBytes: Int64,
    from start: Int64
  ) -> Range<Int64> {
    let lower = min(max(0, offset), sizeBytes)
    let length = min(sizeBytes - lower, Int64(max(0, min(count, ShardReader.maxReadBytes))))
    return start + lower..<start + lower + length
  }
}
