import Remote
import ShardCache

/// Puts the indexes of a run into the bucket, for mounts on every machine.
struct Publication {
  private let store: any WritableStore
  private let directory: CacheDirectory
  private let open: OpenDataset

  /// Which part of a cluster's work is published.
  private let rank: Int
  private let worldSize: Int

  /// Checks that the remote can be written to at all, before hours of work are done.
  init(_ open: OpenDataset, _ settings: MountSettings) throws(Failure) {
    guard let store = open.store as? any WritableStore else {
      throw Failure(
        .usage,
        "nothing can be published to \(open.address.displayName): a web server takes no objects; "
          + "publish to the bucket or directory behind it, or leave --publish out"
      )
    }
    guard let directory = open.directory else {
      throw Failure(.usage, "--publish needs a cache directory; see --cache-dir")
    }
    self.store = store
    self.directory = directory
    self.open = open
    rank = settings.worldSize.onlyRank ?? 0
    worldSize = settings.worldSize.onlyRank == nil ? 1 : settings.worldSize.size
  }

  /// Publishes what a run has kept; blocks until the store has it all.
  ///
  /// - Parameters:
  ///   - run: Has the indexes.
  ///   - counts: Its shards, with the samples found in each.
  /// - Returns: What was put.
  /// - Throws: Why something could not be put.
  func publish(
    _ run: IndexRun,
    _ counts: [(shard: Int, samples: Int)]
  ) throws(Failure) -> IndexReport.Published {
    let writer = PackWriter(
      run,
      shards: open.dataset.shards,
      below: open.address.keyPrefix,
      directory: directory
    )
    var published = IndexReport.Published()
    do throws(StoreError) {
      try writer.write(counts) { (pack) throws(StoreError) in
        let key = key(ofPack: published.objects.count)
        try store.put(pack, to: key)
        published.objects.append(PrintableName.text(key.bytes))
        published.bytes += Int64(pack.bytes.count)
      }
    } catch {
      let failure = Failure(error, remote: open.address.displayName)
      throw Failure(
        failure.code,
        "not published: \(failure.sentence); what was indexed is kept on this machine"
      )
    }
    return published
  }

  /// For example `.wdsfs/index/00003-of-00008.000.pack`.
  private func key(ofPack number: Int) -> ObjectKey {
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let name = "\(padded(rank, 5))-of-\(padded(worldSize, 5)).\(padded(number, 3))"
    let below = PublishedIndex.folder + name + PublishedIndex.suffix
    return ObjectKey(open.address.keyPrefix + Array(below.utf8))
  }
}
