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
  case sparseField(path: String)

  /// The sample has more fields than inode numbers have room for.
  case tooManyFields(path: String, count: Int)

  /// A name of more than 255 bytes.
  case nameTooLong

  /// What was found in the cache contradicts itself or could not be had.
  case cache(path: String, CacheError)
}

extension TreeError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .noSuchEntry: "no such entry"
    case .notADirectory: "not a directory"
    case .isADirectory: "a directory"
    case .noSuchAttribute: "no such attribute"
    case .readOnly: "the tree is read-only"
    case .nameTooLong: "the name is too long"
    case .sparseField(let path): "\(path) is a sparse member of its tar, which is not served"
    case .tooManyFields(let path, let count):
      "\(path) has \(count) fields; at most \(Node.maxFields) can be shown"
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
}
