import Glibc
import Logging
import Synchronization

/// The chunks on disk: written as they come, checked at every load, removed when room is needed.
///
/// Most of it blocks and runs on the cache's workers. A file that is missing, cut or wrong is a
/// miss; a disk that fails is left alone for a while and then tried again.
final class ChunkStore: Sendable {
  private struct State {
    var ledger = FileLedger()
    var isScanned = false
    var reading = DiskRest()
    var writing = DiskRest()

    /// Of files that are begun, so that the disk does not show them yet.
    var unwrittenBytes: Int64 = 0
    var corruptCount = 0
    var evictionCount = 0
  }

  private let directory: CacheDirectory
  private let usage: SharedUsage
  private let state = Mutex(State())
  private let logger: Logger

  init(directory: CacheDirectory, maxBytes: Int64, logger: Logger) {
    self.directory = directory
    self.usage = SharedUsage(directory: directory, maxBytes: maxBytes)
    self.logger = logger
  }

  /// Bytes of the files that this mount knows of.
  var usedBytes: Int64 { state.withLock { $0.ledger.usedBytes } }
  var corruptCount: Int { state.withLock { $0.corruptCount } }
  var evictionCount: Int { state.withLock { $0.evictionCount } }

  /// Whether a load is worth trying; without I/O.
  func mayHold(_ chunk: ChunkID, of identity: ShardIdentity) -> Bool {
    state.withLock { state in
      (!state.isScanned || state.ledger.contains(FileLedger.FileID(chunk, of: identity)))
        && !state.reading.isResting
    }
  }

  /// Whether the chunk's file is known to be there and can be read; without I/O.
  func holds(_ chunk: ChunkID, of identity: ShardIdentity) -> Bool {
    state.withLock { state in
      state.ledger.contains(FileLedger.FileID(chunk, of: identity)) && !state.reading.isResting
    }
  }

  /// Looks for chunks that another mount on the directory has brought since this one looked through it.
  ///
  /// One system call a chunk, and none where there is no other mount.
  ///
  /// - Returns: Whether one is there that was not known.
  func learn(of run: Range<Int32>, from first: ChunkID, of identity: ShardIdentity) -> Bool {
    guard usage.isShared else { return false }
    var isNew = false
    for number in run {
      let chunk = ChunkID(shard: first.shard, plane: first.plane, number: number)
      let file = FileLedger.FileID(chunk, of: identity)
      let isKnown = state.withLock { $0.ledger.contains(file) || $0.reading.isResting }
      var status = stat()
      guard !isKnown, fstatat(directory.chunks, file.path, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
        continue
      }
      let diskBytes = FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
      state.withLock { $0.ledger.use(file, diskBytes: diskBytes) }
      isNew = true
    }
    return isNew
  }

  /// Whether chunks can be written now, so that memory need not keep them.
  var isWorking: Bool {
    state.withLock { !$0.reading.isResting && !$0.writing.isResting }
  }

  // MARK: Load

  /// Reads a chunk, or whole blocks of it, into memory and checks what was read.
  ///
  /// - Parameters:
  ///   - chunk: Its name.
  ///   - identity: Its shard's.
  ///   - memory: Of the whole chunk.
  ///   - part: What of it is wanted; nil for all.
  /// - Returns: Whether the memory now holds that; a file that is no good is removed.
  func load(
    _ chunk: ChunkID,
    of identity: ShardIdentity,
    into memory: UnsafeMutableRawBufferPointer,
    part: Range<Int>? = nil
  ) -> Bool {
    let file = FileLedger.FileID(chunk, of: identity)
    // Should the file be a pipe or a device, nothing waits for it.
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    let descriptor = openat(directory.chunks, file.path, flags)
    guard descriptor >= 0 else {
      let status = errno
      if status == ENOENT {
        state.withLock { $0.ledger.remove(file) }
      } else if status == ELOOP {
        discard(file)
      } else {
        noteFailure(\.reading, "open", status)
      }
      return false
    }
    defer { close(descriptor) }
    let header = ChunkFileHeader(identity: identity, chunk: chunk, dataBytes: memory.count)
    switch ChunkFile.read(descriptor, part: part ?? memory.indices, header, into: memory) {
    case .failed(let status):
      noteFailure(\.reading, "read", status)
      return false
    case .damaged:
      discard(file)
      return false
    case .good:
      // Later mounts see by the file's time what was used last.
      futimens(descriptor, nil)
      state.withLock { state in
        state.reading = DiskRest()
        state.ledger.use(file, diskBytes: FileLedger.diskBytes(ofData: memory.count))
      }
      return true
    }
  }

  private func discard(_ file: FileLedger.FileID) {
    usage.withCount { remove(file, &$0) }
    state.withLock { $0.corruptCount += 1 }
    logger.warning(
      "a cached chunk is damaged and is fetched again",
      metadata: ["event": "cache.corrupt", "file": "\(file.path)"]
    )
  }

  /// Removes a chunk, if it is there.
  func remove(_ chunk: ChunkID, of identity: ShardIdentity) {
    usage.withCount { remove(FileLedger.FileID(chunk, of: identity), &$0) }
  }

  /// Removes what is there of a plane, because nothing vouches for it.
  func removeAll(of identity: ShardIdentity, plane: BytePlane) {
    usage.withCount { count in
      forEachName(in: directory.chunks, path: identity.fileName) { name in
        guard let file = FileLedger.FileID(identity: identity, name: name), file.plane == plane
        else { return }
        remove(file, &count)
      }
    }
  }

  // MARK: Store

  /// Writes a chunk, removing the least recently used ones first where there is no room.
  func store(_ chunk: ChunkID, of identity: ShardIdentity, _ data: UnsafeRawBufferPointer) {
    let file = FileLedger.FileID(chunk, of: identity)
    let diskBytes = FileLedger.diskBytes(ofData: data.count)
    let isWanted = state.withLock { state in
      !state.writing.isResting && !state.ledger.contains(file)
    }
    guard isWanted else { return }
    let begun = usage.withCount { count in begin(file, diskBytes, &count) }
    switch begun {
    case .there: return
    case .failed(let status): noteFailure(\.writing, "create", status)
    case .begun(let temporary):
      guard let temporary = temporary.take() else { return }
      let status = write(temporary, file, chunk: chunk, identity: identity, data)
      state.withLock { $0.unwrittenBytes -= diskBytes }
      guard status != 0 else { return state.withLock { $0.writing = DiskRest() } }
      temporary.remove()
      usage.withCount { count in
        if let before = count { count = before - diskBytes }
      }
      state.withLock { $0.ledger.remove(file) }
      noteFailure(\.writing, "write", status)
    }
  }

  private enum Begun: Sendable {
    case begun(TemporaryHolder)
    case there
    case failed(Int32)
  }

  /// Makes room, counts the file, and makes it, so that whoever looks at the directory finds it.
  private func begin(_ file: FileLedger.FileID, _ diskBytes: Int64, _ count: inout Int64?) -> Begun
  {
    var status = stat()
    if fstatat(directory.chunks, file.path, &status, AT_SYMLINK_NOFOLLOW) == 0 {
      // Another mount was first.
      let thereBytes = FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
      state.withLock { $0.ledger.use(file, diskBytes: thereBytes) }
      return .there
    }
    guard makeRoom(for: diskBytes, &count) else { return .failed(ENOSPC) }
    guard let temporary = TemporaryFile(in: directory.chunks) else { return .failed(errno) }
    if let before = count { count = before + diskBytes }
    state.withLock { state in
      state.unwrittenBytes += diskBytes
      state.ledger.use(file, diskBytes: diskBytes)
    }
    return .begun(TemporaryHolder(temporary))
  }

  private func write(
    _ temporary: borrowing TemporaryFile,
    _ file: FileLedger.FileID,
    chunk: ChunkID,
    identity: ShardIdentity,
    _ data: UnsafeRawBufferPointer
  ) -> Int32 {
    var status = ChunkFile.write(data, to: temporary.descriptor, identity: identity, chunk: chunk)
    guard status == 0 else { return status }
    status = temporary.move(to: file.path)
    guard status == ENOENT else { return status }
    mkdirat(directory.chunks, identity.fileName, 0o700)
    return temporary.move(to: file.path)
  }

  // MARK: Room

  /// Removes files until so many bytes fit under every mount's limit and leave the disk some space.
  ///
  /// The own ledger knows nothing of what other mounts have written since: where its files are not
  /// enough, the directory is looked at again.
  private func makeRoom(for bytes: Int64, _ count: inout Int64?) -> Bool {
    if count == nil { look(&count) }
    let limit = usage.smallestLimit()
    if fits(bytes, limit, count) || evict(for: bytes, limit, &count) { return true }
    look(&count)
    return evict(for: bytes, limit, &count)
  }

  private func fits(_ bytes: Int64, _ limit: Int64, _ count: Int64?) -> Bool {
    let unwrittenBytes = state.withLock { $0.unwrittenBytes }
    return bytes <= usage.spareBytes() - unwrittenBytes && (count ?? 0) <= limit - bytes
  }

  private func evict(for bytes: Int64, _ limit: Int64, _ count: inout Int64?) -> Bool {
    while !fits(bytes, limit, count) {
      guard let oldest = state.withLock({ $0.ledger.oldestFile }) else { return false }
      remove(oldest, &count)
      state.withLock { $0.evictionCount += 1 }
    }
    return true
  }

  /// Removes a file, which another mount may have done already.
  private func remove(_ file: FileLedger.FileID, _ count: inout Int64?) {
    var status = stat()
    if fstatat(directory.chunks, file.path, &status, AT_SYMLINK_NOFOLLOW) == 0,
      removeEntry(file.path, in: directory.chunks), let before = count
    {
      count = before - FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
    }
    state.withLock { $0.ledger.remove(file) }
  }

  // MARK: Scan

  /// Reads what earlier mounts left, oldest files first to go, and clears up after dead ones.
  func scan() {
    usage.withCount { count in
      look(&count)
      state.withLock { $0.isScanned = true }
      _ = evict(for: 0, usage.smallestLimit(), &count)
    }
  }

  /// Counts what lies in the directory, and learns of what is new.
  private func look(_ count: inout Int64?) {
    let liveCount = TemporaryFile.removeLeftovers(in: directory.chunks)
    var used = Int64(liveCount) * FileLedger.diskBytes(ofData: ChunkID.sizeBytes)
    var found: [(file: FileLedger.FileID, diskBytes: Int64, modified: timespec)] = []
    forEachName(in: directory.chunks) { folder in
      guard let identity = ShardIdentity(fileName: folder) else { return }
      let fileCount = forEachName(in: directory.chunks, path: folder) { name in
        var status = stat()
        guard let file = FileLedger.FileID(identity: identity, name: name),
          fstatat(directory.chunks, file.path, &status, AT_SYMLINK_NOFOLLOW) == 0
        else { return }
        let diskBytes = FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
        used = used.addingReportingOverflow(diskBytes).partialValue
        found.append((file, diskBytes, status.st_mtim))
      }
      if fileCount == 0 { unlinkat(directory.chunks, folder, AT_REMOVEDIR) }
    }
    found.sort { left, right in
      (left.modified.tv_sec, left.modified.tv_nsec) > (
        right.modified.tv_sec, right.modified.tv_nsec
      )
    }
    count = used
    state.withLock { state in
      for entry in found {
        state.ledger.found(entry.file, diskBytes: entry.diskBytes)
      }
    }
  }

  // MARK: Failures

  private func noteFailure(
    _ kind: WritableKeyPath<State, DiskRest>,
    _ deed: String,
    _ status: Int32
  ) {
    let isFull = status == ENOSPC || status == EDQUOT
    guard state.withLock({ $0[keyPath: kind].note(isFull: isFull) }) else { return }
    logger.warning(
      isFull
        ? "the disk is full; going on without keeping more, next try in 30 s"
        : "the cache directory cannot be used; going on without it, next try in 30 s",
      metadata: [
        "event": isFull ? "cache.full" : "cache.down", "deed": "\(deed)",
        "path": "\(directory.path)", "error": "\(errorText(status))",
      ]
    )
  }
}

/// How long a disk that fails is left alone.
private struct DiskRest {
  /// After this many failures in a row.
  private static let maxFailures = 3
  private static let seconds = 30

  private var failures = 0
  private var until = 0
  private var isLogged = false

  var isResting: Bool { until > 0 && Self.now() < until }

  /// - Returns: Whether this is the first that is worth a word.
  mutating func note(isFull: Bool) -> Bool {
    failures += 1
    guard isFull || failures >= Self.maxFailures else { return false }
    until = Self.now() + Self.seconds
    defer { isLogged = true }
    return !isLogged
  }

  private static func now() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec
  }
}

/// Brings a file that is begun out of the lock that it was begun under.
///
/// Proof of `@unchecked Sendable`: it never leaves the thread that made it.
private final class TemporaryHolder: @unchecked Sendable {
  private var file: TemporaryFile?

  init(_ file: consuming TemporaryFile) {
    self.file = consume file
  }

  func take() -> TemporaryFile? {
    file.take()
  }
}
