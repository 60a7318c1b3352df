import Remote
import ShardCache

/// `/.shards`: the shards as they lie in the store, and their samples in natural order.
extension MountTree {
  /// The name a shard has below its split's folder: its key, without the remote's own part and
  /// the folder, and with `/` spelled `%2F`.
  func shardName(ofShard shard: Int) -> [UInt8] {
    let key = cache.shards[shard].key.bytes
    let name = key.lastIndex(of: UInt8(ascii: "/")).map { key[($0 + 1)...] } ?? key[...]
    return Array(name)
  }

  /// Finds a shard's file, or the directory of its samples, which has `.d` behind the name.
  func lookUpShard(
    _ name: UnsafeRawBufferPointer,
    in split: Int
  ) throws(Obstacle) -> Attributes {
    guard dataset.splits.indices.contains(split) else { throw .failure(.noSuchEntry) }
    if let place = shardPlace(name, in: split) { return shardFile(split: split, place: place) }
    guard name.count > 2, name.suffix(2).elementsEqual(".d".utf8) else {
      throw .failure(.noSuchEntry)
    }
    let stem = UnsafeRawBufferPointer(rebasing: name.dropLast(2))
    guard let place = shardPlace(stem, in: split) else { throw .failure(.noSuchEntry) }
    let shard = dataset.splits[split].shards[place]
    let kind = Pass.Kind.shard(split: split, place: place, shard: shard)
    guard let pass = passes.pass(kind, make: { nil }) else { throw .failure(.noSuchEntry) }
    return directory(.pass(pass.number), modifiedSeconds: modifiedSeconds(ofShard: shard))
  }

  /// Shards are sorted by key, but names drop what lies before the last slash, so this looks at all;
  /// nobody opens raw shards in a hot loop.
  private func shardPlace(_ name: UnsafeRawBufferPointer, in split: Int) -> Int? {
    dataset.splits[split].shards.firstIndex { shard in
      let key = cache.shards[shard].key.bytes
      guard key.count >= name.count, key.suffix(name.count).elementsEqual(name) else {
        return false
      }
      let before = key.count - name.count - 1
      return before < 0 || key[before] == UInt8(ascii: "/")
    }
  }

  func listShards(
    of split: Int,
    from position: Int,
    _ body: (_ name: [UInt8], Attributes) -> Bool
  ) {
    for place in dataset.splits[split].shards.indices.dropFirst(position) {
      let name = shardName(ofShard: dataset.splits[split].shards[place])
      guard body(name, shardFile(split: split, place: place)) else { return }
    }
  }
}
