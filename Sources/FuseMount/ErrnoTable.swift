import Glibc
import Remote
package import SampleTree
import ShardCache

/// The one place where an errno is chosen.
package enum ErrnoTable {
  package static func errno(for error: TreeError) -> Int32 {
    switch error {
    case .noSuchEntry: ENOENT
    case .notADirectory: ENOTDIR
    case .isADirectory: EISDIR
    case .noSuchAttribute: ENODATA
    case .readOnly: EROFS
    case .nameTooLong: ENAMETOOLONG
    case .sparseField: EOPNOTSUPP
    // Not E2BIG or the like: for a reader the sample is there and cannot be read.
    case .tooManyFields, .tooManyPasses, .noOrder, .undecodable: EIO
    case .badCursor: EINVAL
    case .cache(_, let error): errno(for: error)
    }
  }

  /// The errno of a listing that fails.
  ///
  /// libc's `readdir` takes ENOENT for the directory's end, so that a folder whose shard is gone would
  /// look like a shorter one.
  package static func errno(forListing error: TreeError) -> Int32 {
    let status = errno(for: error)
    if case .cache = error, status == ENOENT { return EIO }
    return status
  }

  private static func errno(for error: CacheError) -> Int32 {
    switch error {
    case .fetch(_, _, let error): errno(for: error)
    case .shardChanged: ESTALE
    case .shardBad, .cacheTooSmall, .countWrong, .closed: EIO
    }
  }

  private static func errno(for error: StoreError) -> Int32 {
    switch error {
    case .noSuchObject, .noSuchContainer, .missingShards: ENOENT
    case .objectChanged: ESTALE
    case .refused, .credentials: EACCES
    case .unreachable, .exhausted, .rangesUnsupported, .badReply, .endlessListing, .invalid,
      .cancelled:
      EIO
    // Of what the local system says, only this much is true of our file as well: a shortage of
    // descriptors or memory is never a reader's.
    case .file(_, let status):
      switch status {
      case ENOENT, ENOTDIR: ENOENT
      case EACCES, EPERM: EACCES
      case ESTALE: ESTALE
      default: EIO
      }
    }
  }

  /// Whether an answer is worth a line at level error: what a name that is not there is not, nor
  /// what is cut off by the mount's own end.
  package static func isFailure(_ error: TreeError) -> Bool {
    switch error {
    case .sparseField, .tooManyFields, .tooManyPasses, .noOrder, .undecodable: true
    case .cache(_, .closed): false
    case .cache: true
    case .noSuchEntry, .notADirectory, .isADirectory, .noSuchAttribute, .readOnly, .nameTooLong,
      .badCursor:
      false
    }
  }

  /// The errno as messages show it.
  package static func name(of status: Int32) -> String {
    switch status {
    case ENOENT: "ENOENT"
    case EACCES: "EACCES"
    case ESTALE: "ESTALE"
    case EIO: "EIO"
    case EOPNOTSUPP: "EOPNOTSUPP"
    default: errorText(status)
    }
  }
}
