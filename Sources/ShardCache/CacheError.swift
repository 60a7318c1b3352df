package import Remote

/// Why the cache could not answer.
package enum CacheError: Error, Sendable {
  /// The store could not give the bytes; `shard` is its object key as the store lists it.
  case fetch(shard: ObjectKey, range: Range<Int64>, StoreError)

  /// The object is no longer the listed one, for the rest of this mount.
  case shardChanged(shard: ObjectKey, detail: String)

  /// The shard holds no samples that could be served, or `--strict` refuses what is damaged.
  case shardBad(shard: ObjectKey, errorClass: String, offset: Int64)

  /// A shard that must lie in the cache whole does not fit.
  case cacheTooSmall(shard: ObjectKey, neededBytes: Int64, budgetBytes: Int64)

  /// The shard holds another number of samples than the bucket states, by which the order was made.
  case countWrong(shard: ObjectKey, stated: Int, found: Int, source: String)

  /// The cache is shutting down.
  case closed
}

extension CacheError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .fetch(let shard, let range, let error):
      "bytes \(range) of \(shard): \(error)"
    case .shardChanged(let shard, let detail):
      "\(shard) is no longer the object that was listed (\(detail)); mount again to see it"
    case .shardBad(let shard, let errorClass, let offset):
      "\(shard): \(errorClass) at byte \(offset)"
    case .cacheTooSmall(let shard, let neededBytes, let budgetBytes):
      "\(shard) must lie in the cache whole and needs \(neededBytes) bytes, the cache has"
        + " \(budgetBytes); give --cache-size \(neededBytes) or more"
    case .countWrong(let shard, let stated, let found, let source):
      "\(source) states \(stated) samples for \(shard), which holds \(found), so its place in the"
        + " order is wrong; correct the counts with wdsfs index --publish, or begin a run with"
        + " --partition shards"
    case .closed:
      "the mount is ending"
    }
  }
}
