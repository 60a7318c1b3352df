/// Why a remote's objects make no dataset.
package enum DatasetError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nothing of what lies below the remote is a shard.
  case noShards(remote: String, objectCount: Int)

  /// A pattern names a shard twice.
  case duplicateShard(key: ObjectKey)

  /// A split was asked for that the remote does not have.
  case noSuchSplit(name: String, available: [String])

  /// No shard's key fits the globs of a split.
  case emptySplit(name: String, globs: [String])

  /// No directory of the mount can be called so.
  case unusableName(String)

  /// The listing failed, or an option's pattern makes no sense.
  case store(StoreError)

  package var description: String {
    switch self {
    case .noShards(let remote, 0):
      "nothing lies below \(remote); "
        + (ShardName.isShard(remote.utf8)
          ? "that is the name of a shard: give the folder that it lies in"
          : "check the name of the folder")
    case .noShards(let remote, let count):
      "\(remote) holds no shards, among \(count) \(count == 1 ? "object" : "objects") in all; "
        + "shards end in .tar, .tar.gz, .tgz, .tar.zst, .tar.lz4, .tar.bz2 or .tar.xz"
    case .duplicateShard(let key):
      "the shard \(key) is named twice; take it out of one of the patterns"
    case .noSuchSplit(let name, let available):
      "there is no split \(name); there are: \(available.prefix(20).joined(separator: ", "))"
        + (available.count > 20 ? " and \(available.count - 20) more" : "")
    case .emptySplit(let name, let globs):
      "no shard fits the split \(name)=\(globs.joined(separator: ",")); the pattern must fit the "
        + "whole key below the remote (* stays within a folder, ** does not)"
    case .unusableName(let name):
      "a split cannot be called '\(name)': it names a directory of the mount, of 1 to 255 bytes, "
        + "without slashes, not beginning with %%, and none of "
        + SplitName.reserved.joined(separator: " ")
    case .store(let error): error.description
    }
  }
}
