import Glibc
import Remote
import SampleTree
import ShardCache

/// The one place where an errno is chosen.
enum ErrnoTable {
  static func errno(for error: TreeError) -> Int32 {
    switch error {
    case .noSuchEntry: ENOENT
    case .notADirectory: ENOTDIR
    case .isADirectory: EISDIR
    case .noSuchAttribute: ENODATA
    case .readOnly: EROFS
    case .nameTooLong: ENAMETOOLONG
    case .sparseField: EOPNOTSUPP
    // Not E2BIG or the like: for a reader the sample is there and cannot be read.
    case .tooManyFields: EIO
    case .cache(_, let error): errno(for: error)
    }
  }

  private static func errno(for error: CacheError) -> Int32 {
    switch error {
    case .fetch(_, _, let error): errno(for: error)
    case .shardChanged: ESTALE
    case .shardBad, .cacheTooSmall, .closed: EIO
    }
  }

  private static func errno(for error: StoreError) -> Int32 {
    switch error {
    case .noSuchObject, .noSuchContainer, .missingShards: ENOENT
    case .objectChanged: ESTALE
    case .refused, .credentials: EACCES
    case .unreachable, .exhausted, .rangesUnsupported, .badReply, .invalid, .cancelled: EIO
    // What the local system says is true of its file, not of ours: only a missing one stays one.
    case .file(_, let status): status == ENOENT ? ENOENT : EIO
    }
  }

  /// Whether an answer is worth a line at level error: what a name that is not there is not.
  static func isFailure(_ error: TreeError) -> Bool {
    switch error {
    case .sparseField, .tooManyFields, .cache: true
    case .noSuchEntry, .notADirectory, .isADirectory, .noSuchAttribute, .readOnly, .nameTooLong:
      false
    }
  }
}
