import Glibc
import Logging
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
    for warning in settings.warnings where warning.event != "mount.world_size" {
      StandardError.print("wdsfs: warning: \(warning.text)")
    }
    let writer = LogWriter(
      level: settings.logLevel,
      output: LogFile.standardError,
      events: EventLog()
    )
    let log = Logger(label: "wdsfs") { _ in LineLogHandler(writer: writer) }
    let address = try StoreWiring.address(settings)
    let directory = try cacheDirectory(settings)
    let store = try StoreWiring.store(at: address, settings, log)
    do throws(Failure) {
      let (dataset, notes) = try StoreWiring.dataset(listing: store, at: address, settings)
      let stated = try BucketStatements.read(notes, of: dataset, in: store, at: address, log)
      return OpenDataset(
        address: address,
        store: store,
        dataset: dataset,
        stated: stated,
        directory: directory
      )
    } catch {
      store.shutDown()
      throw error
    }
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
