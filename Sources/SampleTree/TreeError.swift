package import Remote
package import SampleOrder
package import Schema
package import ShardCache

/// Why a path cannot be answered.
package enum TreeError: Error, Sendable {
  /// No such split, rank, index or field.
  case noSuchEntry
  case notADirectory
  case isADirectory

  /// No such extended attribute.
  case noSuchAttribute

  /// The tree takes no writes there.
  case readOnly

  /// The field is a sparse member, which is not served.
  case sparseField(path: String, shard: ObjectKey)

  /// The sample has more fields than inode numbers have room for.
  case tooManyFields(path: String, shard: ObjectKey, count: Int)

  /// More folders of samples were looked up than inode numbers have room for.
  case tooManyPasses(path: String)

  /// An epoch has no order, for example because a rank has nothing to repeat.
  case noOrder(path: String, OrderError)

  /// What was written to a cursor file is none, or not this run's.
  case badCursor(path: String, RunError)

  /// A name of more than 255 bytes.
  case nameTooLong

  /// The field's bytes are not what its rule of `--schema` decodes.
  case undecodable(path: String, shard: ObjectKey, key: [UInt8], DecodeError)

  /// What was found in the cache contradicts itself or could not be had.
  case cache(path: String, CacheError)
}

extension TreeError {
  /// The shard that it is about, if it is about one.
  package var shard: ObjectKey? {
    switch self {
    case .noSuchEntry, .notADirectory, .isADirectory, .noSuchAttribute, .readOnly, .nameTooLong,
      .tooManyPasses, .noOrder, .badCursor, .cache(_, .closed):
      nil
    case .sparseField(_, let shard), .tooManyFields(_, let shard, _),
      .undecodable(_, let shard, _, _),
      .cache(_, .fetch(let shard, _, _)), .cache(_, .shardChanged(let shard, _)),
      .cache(_, .shardBad(let shard, _, _)), .cache(_, .cacheTooSmall(let shard, _, _)),
      .cache(_, .countWrong(let shard, _, _, _)):
      shard
    }
  }
}

extension TreeError {
  /// The sample that it is about, where that is more than the path says.
  package var sampleKey: String? {
    guard case .undecodable(_, _, let key, _) = self else { return nil }
    return PrintableName.text(key)
  }
}

extension TreeError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .noSuchEntry: "no such entry"
    case .noOrder(let path, let error): "\(path) has no order: \(error)"
    case .badCursor(let path, let error): "\(path): \(error)"
    case .notADirectory: "not a directory"
    case .isADirectory: "a directory"
    case .noSuchAttribute: "no such attribute"
    case .readOnly: "the tree is read-only"
    case .nameTooLong: "the name is too long"
    case .sparseField(let path, let shard):
      "\(path) is a sparse member of \(shard), which is not served"
    case .tooManyFields(let path, let shard, let count):
      "\(path) has \(count) fields in \(shard); at most \(Node.maxFields) can be shown"
    case .undecodable(let path, let shard, let key, let error):
      "\(path), of sample \(PrintableName.text(key)) in \(shard), cannot be decoded: \(error)"
    case .tooManyPasses(let path):
      "\(path): \(Node.maxPasses) folders of samples are open already; mount again"
    case .cache(let path, let error): "\(path): \(error)"
    }
  }
}

/// Why a question has no answer now.
package enum Obstacle: Error, Sendable {
  /// Never, or not before something changes.
  case failure(TreeError)

  /// Not before the cache has more; ask again when it says so.
  case pending(Want)
}

/// What an answer waits for.
package enum Want: Hashable, Sendable {
  /// The index of a shard up to a sample; `Int.max`: all of it.
  case sample(number: Int, shard: Int)
  case bytes(Range<Int64>, shard: Int, plane: BytePlane)

  /// The classes of a split, for which all its shards' indexes are wanted.
  case classes(split: Int)

  /// A field by one of the rules of `--schema`.
  indirect case decoded(DecodedField)

  /// A rank's directory on its next epoch.
  case turn(TrainingRun.RankName)
}
