import Remote
import ShardCache

/// A remote that was listed, for commands that read it without a mount.
struct OpenDataset {
  let address: RemoteAddress
  let store: any ObjectStore
  let dataset: Dataset

  /// What the bucket says of its shards.
  let stated: BucketStatements

  /// Where indexes are kept; nil with `--cache-dir memory`.
  let directory: CacheDirectory?

  /// Lists the remote; blocks until the last page.
  ///
  /// The process takes signals from then on as `Signals` has them, so it must have no thread yet.
  static func open(_ settings: MountSettings) throws(Failure) -> OpenDataset {
    Signals.block()
    let directory = try cacheDirectory(settings)
    // Counts that others state are no news to who reads the shards themselves.
    let listed = try ListedRemote.list(settings, logLevel: settings.logLevel, readsCounts: false)
    return OpenDataset(
      address: listed.address,
      store: listed.store,
      dataset: listed.dataset,
      stated: listed.stated,
      directory: directory
    )
  }

  private static func cacheDirectory(
    _ settings: MountSettings
  ) throws(Failure) -> CacheDirectory? {
    guard case .directory(let path) = settings.cachePlace else { return nil }
    do throws(CacheDirectoryError) {
      return try CacheDirectory(path: path)
    } catch {
      throw Failure(.cache, "\(error)")
    }
  }
}
