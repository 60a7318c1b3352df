import Logging
import Remote

/// A remote that was listed, for commands that look at it without a mount.
struct ListedRemote {
  let address: RemoteAddress
  let store: any ObjectStore
  let dataset: Dataset

  /// What the bucket says of its shards.
  let stated: BucketStatements

  let log: Logger

  /// Lists the remote; blocks until the last page.
  ///
  /// Warnings of the options go to stderr, and so does what a store warns of.
  ///
  /// - Parameters:
  ///   - settings: Name the remote and how it is reached.
  ///   - logLevel: Of what is told meanwhile; nil for the settings', where what a mount tells by
  ///     default is no news to whoever waits for a command.
  ///   - readsCounts: Whether other tools' files with counts are looked into.
  /// - Returns: The remote, whose store is the caller's to shut down.
  /// - Throws: `Failure`; the store is shut down then.
  static func list(
    _ settings: MountSettings,
    logLevel: Logger.Level? = nil,
    readsCounts: Bool = true
  ) throws(Failure) -> ListedRemote {
    for warning in settings.warnings where warning.event != "mount.world_size" {
      StandardError.print("wdsfs: warning: \(warning.text)")
    }
    let writer = LogWriter(
      level: logLevel ?? (settings.logLevel == .info ? .warning : settings.logLevel),
      output: LogFile.standardError,
      events: EventLog()
    )
    let log = Logger(label: "wdsfs") { _ in LineLogHandler(writer: writer) }
    let address = try StoreWiring.address(settings)
    let store = try StoreWiring.store(at: address, settings, log)
    do throws(Failure) {
      let (dataset, notes) = try StoreWiring.dataset(listing: store, at: address, settings)
      let stated = try BucketStatements.read(
        notes,
        of: dataset,
        in: store,
        at: address,
        maxCountFiles: readsCounts ? BucketStatements.maxCountFiles(settings, nil) : 0,
        log
      )
      return ListedRemote(
        address: address,
        store: store,
        dataset: dataset,
        stated: stated,
        log: log
      )
    } catch {
      store.shutDown()
      throw error
    }
  }
}
