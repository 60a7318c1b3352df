import Glibc
import Logging
import Remote
import ShardCache

/// From what the user says of the cache to one with a budget.
enum CacheWiring {
  private static let defaultPercent: Int64 = 20
  private static let maxDefaultBytes: Int64 = 100 << 30

  /// What a directory's chunks may take in memory: its bytes are on a disk already.
  private static let directoryBytes: Int64 = 256 << 20

  static func cache(
    over store: any ObjectStore,
    _ dataset: Dataset,
    _ published: PublishedIndex?,
    at address: RemoteAddress,
    _ settings: MountSettings,
    _ log: Logger
  ) throws(Failure) -> ShardReader {
    var directory: CacheDirectory?
    if case .directory(let path) = settings.cachePlace {
      let place = CanonicalPath.nearest(to: path)
      guard place != settings.mountPoint, !place.hasPrefix(settings.mountPoint + "/") else {
        throw Failure(
          .cache,
          "the cache lies in the mount itself: \(path); name a --cache-dir outside of "
            + settings.mountPoint
        )
      }
      do throws(CacheDirectoryError) {
        directory = try CacheDirectory(path: path)
      } catch {
        throw Failure(.cache, "\(error)")
      }
    }
    let budget = try plannedBytes(settings, address)
    let decodedBytes = decodedBytes(of: budget, settings)
    var cache = CacheSettings(place: .memory, budgetBytes: budget - decodedBytes)
    cache.maxFetchCount = settings.maxWorkers
    if directory != nil, !isLocalWithoutWish(address, settings) {
      cache.place = .disk
      cache.limitMemory(toBytes: MemoryLimit.bytes() / 2)
    }
    cache.maxInflatedBytes = settings.maxDecompressedBytes
    cache.isStrict = settings.isStrict
    log.info(
      "the cache may take \(cache.budgetBytes >> 20) MiB",
      metadata: [
        "event": "cache.ready", "bytes": "\(cache.budgetBytes)",
        "place": cache.place == .disk ? "\(directory?.path ?? "")" : "memory",
      ]
    )
    return ShardReader(
      store: store,
      shards: dataset.shards,
      settings: cache,
      directory: directory,
      published: published,
      logger: log
    )
  }

  /// What of the cache's budget decoded fields may take: a quarter, as far as memory goes.
  static func decodedBytes(of budget: Int64, _ settings: MountSettings) -> Int64 {
    guard !settings.schema.isEmpty else { return 0 }
    return max(minDecodedBytes, min(budget / 4, MemoryLimit.bytes() / 8))
  }

  private static let minDecodedBytes: Int64 = 8 << 20

  /// What the cache of such a mount may take, without making it.
  ///
  /// - Throws: `.usage` for a size that no mount can do with, `.cache` where so little is free.
  static func plannedBytes(
    _ settings: MountSettings,
    _ address: RemoteAddress
  ) throws(Failure) -> Int64 {
    if case .directory(let path) = settings.cachePlace, !isLocalWithoutWish(address, settings) {
      return try checked(budget(settings, of: CacheDirectory.freeBytes(at: path)), settings)
    }
    let limit = MemoryLimit.bytes()
    let bytes = min(try budget(settings, of: limit), limit / 2)
    return try checked(
      settings.cachePlace == .memory ? bytes : min(bytes, directoryBytes),
      settings
    )
  }

  private static func checked(
    _ budget: Int64,
    _ settings: MountSettings
  ) throws(Failure) -> Int64 {
    let decodedBytes = decodedBytes(of: budget, settings)
    let bytes = budget - decodedBytes
    guard bytes < CacheSettings.minBudgetBytes else { return budget }
    if settings.cacheSize == .automatic, case .directory(let path) = settings.cachePlace {
      throw Failure(
        .cache,
        "cache directory \(path): its disk is full, or nearly; make room, or give another with "
          + "--cache-dir, or --cache-dir memory"
      )
    }
    throw Failure(
      settings.cacheSize == .automatic ? .cache : .usage,
      "a cache of \(SizeText.bytes(bytes)) is too small; give --cache-size "
        + "\((CacheSettings.minBudgetBytes + decodedBytes) >> 20)MiB or more"
    )
  }

  /// What a whole shard takes on the cache's disk: a chunk's file has a header and ends at a block.
  static func keptBytes(ofShard bytes: Int64) -> Int64 { bytes &+ (bytes >> 20) * 4096 &+ 4096 }

  /// A directory's bytes are kept on disk a second time only where the user names the place.
  private static func isLocalWithoutWish(
    _ address: RemoteAddress,
    _ settings: MountSettings
  ) -> Bool {
    guard case .directory = address else { return false }
    return !settings.isCachePlaceChosen
  }

  private static func budget(
    _ settings: MountSettings,
    of available: Int64?
  ) throws(Failure) -> Int64 {
    switch settings.cacheSize {
    case .bytes(let bytes): return bytes
    case .automatic:
      return min(maxDefaultBytes, (available ?? 0) / 100 * defaultPercent)
    case .percent(let percent):
      guard let available else {
        throw Failure(.cache, "the free space is not known; give --cache-size in bytes")
      }
      return available / 100 * Int64(percent)
    }
  }
}

/// How much memory this process may have.
enum MemoryLimit {
  /// The least of the machine's memory and what its control groups allow, versions 1 and 2.
  static func bytes() -> Int64 {
    var least = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    for line in lines("/proc/self/cgroup") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      // Other controllers of version 1 have groups of their own, which may bear the same names.
      guard parts.count == 3, parts[1].isEmpty || parts[1].split(separator: ",").contains("memory")
      else { continue }
      var group = parts[2]
      while true {
        let file =
          parts[1].isEmpty
          ? "/sys/fs/cgroup\(group)/memory.max"
          : "/sys/fs/cgroup/memory\(group)/memory.limit_in_bytes"
        if let text = lines(file).first, let limit = Int64(text), limit > 0 {
          least = min(least, limit)
        }
        guard let slash = group.lastIndex(of: "/"), group.count > 1 else { break }
        group = group[..<slash]
      }
    }
    return least
  }

  private static func lines(_ path: String) -> [Substring] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      guard count > 0 else { return [] }
      let text = String(decoding: buffer[..<count], as: UTF8.self)
      return text.split(separator: "\n")
    }
  }
}
