import Remote
import ShardCache
import Synchronization

/// `/.shards`: the shards as they lie in the store, and their samples in natural order.
///
/// The folders of samples, `<shard>.d`, are there for who names them and not listed: whoever walks
/// the shards' bytes does not want each sample a second time.
extension MountTree {
  /// The names of a split's shards, made at their first use.
  private func shardNames(ofSplit split: Int) -> ShardNames {
    if let names = shardNames.withLock({ $0[split] }) { return names }
    // Outside the lock, since it takes time in proportion to the shards.
    let names = ShardNames(keys: dataset.splits[split].shards.map { cache.shards[$0].key })
    shardNames.withLock { $0[split] = names }
    return names
  }

  func shardName(ofPlace place: Int, in split: Int) -> [UInt8] {
    shardNames(ofSplit: split).name(of: cache.shards[dataset.splits[split].shards[place]].key)
  }

  /// Finds a shard's file, or the directory of its samples, which has `.d` behind the name.
  func lookUpShard(
    _ name: UnsafeRawBufferPointer,
    in split: Int
  ) throws(Obstacle) -> Attributes {
    if let place = shardPlace(name, in: split) { return shardFile(split: split, place: place) }
    guard name.count > 2, name.suffix(2).elementsEqual(".d".utf8),
      let place = shardPlace(UnsafeRawBufferPointer(rebasing: name.dropLast(2)), in: split)
    else { throw .failure(.noSuchEntry) }
    let shard = dataset.splits[split].shards[place]
    let kind = Pass.Kind.shard(split: split, place: place, shard: shard)
    guard let pass = passes.pass(kind, make: { nil }) else {
      let path = path(of: .shardFile(split: split, place: place)) + ".d"
      throw .failure(.tooManyPasses(path: path))
    }
    return directory(.pass(pass.number), modifiedSeconds: modifiedSeconds(ofShard: shard))
  }

  private func shardPlace(_ name: UnsafeRawBufferPointer, in split: Int) -> Int? {
    let shards = dataset.splits[split].shards
    return shardNames(ofSplit: split).place(named: name, count: shards.count) { place in
      cache.shards[shards[place]].key
    }
  }

  func listShards(
    of split: Int,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) {
    let shards = dataset.splits[split].shards
    let names = shardNames(ofSplit: split)
    for place in shards.indices.dropFirst(cursor.position) {
      let name = names.name(of: cache.shards[shards[place]].key)
      guard cursor.add(name, shardFile(split: split, place: place), emit) else { return }
    }
  }
}
