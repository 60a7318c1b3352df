import Glibc
package import Remote

/// What lies in a cache directory, for whoever looks at it without a mount.
package struct CacheContents: Sendable {
  /// What is kept of one version of one shard.
  package struct Entry: Sendable {
    package fileprivate(set) var bytes: Int64 = 0
    package fileprivate(set) var chunkCount = 0

    /// When a chunk of it was last used, in seconds since 1970.
    package fileprivate(set) var usedSeconds = 0
  }

  /// Names an entry: store, key, ETag and size in one.
  package struct Name: Hashable, Sendable {
    let fileName: String

    /// - Parameters:
    ///   - object: As a listing shows it now.
    ///   - storeIdentity: Of the store that listed it.
    package init(of object: ObjectInfo, storeIdentity: String) {
      fileName =
        ShardIdentity(
          storeIdentity: storeIdentity,
          key: object.key.bytes,
          eTag: object.eTag,
          sizeBytes: object.sizeBytes
        ).fileName
    }

    fileprivate init(_ fileName: String) { self.fileName = fileName }
  }

  package private(set) var entries: [Name: Entry] = [:]

  /// Shards whose index is kept, and what all indexes take.
  package private(set) var indexed: Set<Name> = []
  package private(set) var indexBytes: Int64 = 0

  /// The limits of the mounts that use the directory now.
  package private(set) var mountLimits: [Int64] = []

  package var chunkBytes: Int64 {
    entries.values.reduce(0) { $0.addingReportingOverflow($1.bytes).partialValue }
  }

  fileprivate init() {}

  fileprivate mutating func note(_ file: FileLedger.FileID, _ status: stat) {
    let name = Name(file.identity.fileName)
    var entry = entries[name] ?? Entry()
    entry.bytes += FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
    entry.chunkCount += 1
    entry.usedSeconds = max(entry.usedSeconds, status.st_mtim.tv_sec)
    entries[name] = entry
  }

  fileprivate mutating func noteIndex(_ fileName: Substring, _ bytes: Int64) {
    indexed.insert(Name(String(fileName)))
    indexBytes += max(0, bytes)
  }

  fileprivate mutating func noteMount(_ limit: Int64) { mountLimits.append(limit) }
}

extension CacheDirectory {
  /// Whether a directory holds a cache already, so that a look at it makes none.
  package static func exists(at path: String) -> Bool {
    access("\(path)/\(rootName)", F_OK) == 0
  }

  /// Looks through the directory; what comes and goes meanwhile may be missed.
  package func contents() -> CacheContents {
    var contents = CacheContents()
    forEachChunkFile { file, status in contents.note(file, status) }
    forEachName(in: indexes) { name in
      var status = stat()
      guard name.hasSuffix(Self.indexSuffix),
        fstatat(indexes, name, &status, AT_SYMLINK_NOFOLLOW) == 0
      else { return }
      contents.noteIndex(name.dropLast(Self.indexSuffix.count), Int64(status.st_size))
    }
    for limit in SharedUsage.liveLimits(in: self) { contents.noteMount(limit) }
    return contents
  }

  private static let indexSuffix = ".idx"

  private func forEachChunkFile(_ body: (FileLedger.FileID, stat) -> Void) {
    forEachName(in: chunks) { folder in
      guard let identity = ShardIdentity(fileName: folder) else { return }
      forEachName(in: chunks, path: folder) { name in
        var status = stat()
        guard let file = FileLedger.FileID(identity: identity, name: name),
          fstatat(chunks, file.path, &status, AT_SYMLINK_NOFOLLOW) == 0
        else { return }
        body(file, status)
      }
    }
  }

  /// Removes what is kept; a mount that uses it goes on and fetches again.
  ///
  /// - Parameters:
  ///   - names: Of some shards; nil removes all.
  ///   - alsoIndexes: Whether the indexes go too, which are small and take long to make.
  /// - Returns: The bytes that are free now.
  package func clear(_ names: Set<CacheContents.Name>? = nil, alsoIndexes: Bool) -> Int64 {
    func isMeant(_ fileName: String) -> Bool {
      names.map { $0.contains(CacheContents.Name(fileName)) } ?? true
    }
    // So that it counts as no mount's limit, while it holds the lock that all mounts count under.
    let usage = SharedUsage(directory: self, maxBytes: Int64.max)
    var freed = usage.withCount { count in
      var removed: Int64 = 0
      forEachChunkFile { file, status in
        guard isMeant(file.identity.fileName), unlinkat(chunks, file.path, 0) == 0 else { return }
        removed += FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
      }
      if let before = count { count = max(0, before - removed) }
      return removed
    }
    forEachName(in: chunks) { folder in
      // One that a mount writes to just now is not empty, and stays.
      if ShardIdentity(fileName: folder) != nil { unlinkat(chunks, folder, AT_REMOVEDIR) }
    }
    guard alsoIndexes else { return freed }
    forEachName(in: indexes) { file in
      var status = stat()
      guard file.hasSuffix(Self.indexSuffix),
        isMeant(String(file.dropLast(Self.indexSuffix.count))),
        fstatat(indexes, file, &status, AT_SYMLINK_NOFOLLOW) == 0,
        unlinkat(indexes, file, 0) == 0
      else { return }
      freed += Int64(status.st_size)
    }
    return freed
  }
}

extension SharedUsage {
  /// The limits of the mounts that live.
  static func liveLimits(in directory: CacheDirectory) -> [Int64] {
    var limits: [Int64] = []
    forEachName(in: directory.mounts) { name in
      guard name.hasPrefix(mountPrefix) else { return }
      let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
      let file = openat(directory.mounts, name, flags)
      guard file >= 0 else { return }
      defer { close(file) }
      // Who can be given the lock is the only one who has it: its mount has died.
      guard flock(file, LOCK_SH | LOCK_NB) != 0 else { return }
      var bytes: Int64 = 0
      guard pread(file, &bytes, 8, 0) == 8 else { return }
      limits.append(Int64(littleEndian: bytes))
    }
    return limits
  }
}
