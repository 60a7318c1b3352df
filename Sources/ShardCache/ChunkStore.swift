import Glibc
import Logging
import Synchronization

/// The chunks on disk: written as they come, checked at every load, removed when room is needed.
///
/// Everything here blocks and runs on the cache's workers. A file that is missing, cut or wrong is
/// a miss; a disk that fails is left alone for a while and then tried again.
final class ChunkStore: Sendable {
  private struct State {
    var ledger = FileLedger()
    var isScanned = false
    var failuresInARow = 0
    var restsUntil: Int64 = 0
    var corruptCount = 0
  }

  /// After this many failures in a row the disk is left alone.
  private static let maxFailuresInARow = 3
  private static let restSeconds: Int64 = 30

  private let directory: CacheDirectory
  private let maxBytes: Int64
  private let state = Mutex(State())
  private let temporaryNumber = Atomic<Int>(0)
  private let logger: Logger

  init(directory: CacheDirectory, maxBytes: Int64, logger: Logger) {
    self.directory = directory
    self.maxBytes = maxBytes
    self.logger = logger
  }

  var usedBytes: Int64 { state.withLock { $0.ledger.usedBytes } }
  var corruptCount: Int { state.withLock { $0.corruptCount } }

  /// Whether a load is worth trying; without I/O.
  func mayHold(_ chunk: ChunkID, of identity: ShardIdentity) -> Bool {
    state.withLock { state in
      !state.isScanned || state.ledger.contains(Self.file(chunk, of: identity))
    }
  }

  /// Whether the chunk's file is known to be there; without I/O.
  func holds(_ chunk: ChunkID, of identity: ShardIdentity) -> Bool {
    state.withLock { $0.ledger.contains(Self.file(chunk, of: identity)) }
  }

  /// Whether chunks can be written now, so that memory need not keep them.
  var isWorking: Bool {
    let now = Self.monotonicSeconds()
    return state.withLock { $0.restsUntil <= now }
  }

  // MARK: Load

  /// Reads a chunk into memory and checks it.
  ///
  /// - Returns: Whether the memory now holds the chunk; a file that is no good is removed.
  func load(
    _ chunk: ChunkID,
    of identity: ShardIdentity,
    into memory: UnsafeMutableRawBufferPointer
  ) -> Bool {
    let file = Self.file(chunk, of: identity)
    let descriptor = openat(
      directory.chunks,
      Self.path(of: file),
      O_RDONLY | O_NOFOLLOW | O_CLOEXEC
    )
    guard descriptor >= 0 else {
      if errno != ENOENT { noteFailure("open", errno) }
      state.withLock { $0.ledger.remove(file) }
      return false
    }
    defer { close(descriptor) }
    let isGood = withUnsafeTemporaryAllocation(
      byteCount: ChunkFileHeader.sizeBytes,
      alignment: 8
    ) { header in
      let wanted = header.count + memory.count
      let got = transfer([header, memory], wanted) { parts, count, offset in
        preadv(descriptor, parts, count, offset)
      }
      guard got == wanted else {
        if got < 0 { noteFailure("read", errno) }
        return false
      }
      return ChunkFileHeader.isValid(
        UnsafeRawBufferPointer(header),
        identity: identity,
        chunk: chunk,
        data: UnsafeRawBufferPointer(memory)
      )
    }
    if isGood {
      state.withLock { state in
        state.failuresInARow = 0
        state.ledger.use(
          file,
          diskBytes: FileLedger.diskBytes(ofFile: ChunkFileHeader.sizeBytes + memory.count)
        )
      }
    } else {
      discard(file)
    }
    return isGood
  }

  private func discard(_ file: FileLedger.FileID) {
    unlinkat(directory.chunks, Self.path(of: file), 0)
    state.withLock { state in
      state.ledger.remove(file)
      state.corruptCount += 1
    }
    logger.warning(
      "a cached chunk is damaged and is fetched again",
      metadata: ["event": "cache.corrupt", "file": "\(Self.path(of: file))"]
    )
  }

  // MARK: Store

  /// Writes a chunk, removing the least recently used ones first where there is no room.
  func store(_ chunk: ChunkID, of identity: ShardIdentity, _ data: UnsafeRawBufferPointer) {
    let file = Self.file(chunk, of: identity)
    let diskBytes = FileLedger.diskBytes(ofFile: ChunkFileHeader.sizeBytes + data.count)
    let now = Self.monotonicSeconds()
    let doomed: [FileLedger.FileID]? = state.withLock { state in
      guard state.restsUntil <= now, !state.ledger.contains(file) else { return nil }
      let doomed = state.ledger.makeRoom(for: diskBytes, maxBytes: maxBytes)
      guard state.ledger.usedBytes + diskBytes <= maxBytes else { return doomed }
      // Entered before it is written, so that two writers cannot both take the last room.
      state.ledger.use(file, diskBytes: diskBytes)
      return doomed
    }
    guard let doomed else { return }
    for old in doomed {
      unlinkat(directory.chunks, Self.path(of: old), 0)
    }
    guard state.withLock({ $0.ledger.contains(file) }) else { return }
    if write(file, chunk: chunk, identity: identity, data) {
      state.withLock { $0.failuresInARow = 0 }
    } else {
      state.withLock { $0.ledger.remove(file) }
    }
  }

  private func write(
    _ file: FileLedger.FileID,
    chunk: ChunkID,
    identity: ShardIdentity,
    _ data: UnsafeRawBufferPointer
  ) -> Bool {
    let number = temporaryNumber.add(1, ordering: .relaxed).newValue
    let temporary = ".\(getpid()).\(number)"
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let descriptor = openat(directory.chunks, temporary, flags, 0o600)
    guard descriptor >= 0 else {
      noteFailure("create", errno)
      return false
    }
    let isWritten = withUnsafeTemporaryAllocation(
      byteCount: ChunkFileHeader.sizeBytes,
      alignment: 8
    ) { header in
      ChunkFileHeader(identity: identity, chunk: chunk, data: data).write(to: header)
      let wanted = header.count + data.count
      let parts = [header, UnsafeMutableRawBufferPointer(mutating: data)]
      return transfer(parts, wanted) { pwritev(descriptor, $0, $1, $2) } == wanted
    }
    var status = isWritten ? 0 : errno
    close(descriptor)
    if isWritten {
      status = renameat(directory.chunks, temporary, directory.chunks, Self.path(of: file))
      if status != 0 && errno == ENOENT {
        mkdirat(directory.chunks, file.identity.fileName, 0o700)
        status = renameat(directory.chunks, temporary, directory.chunks, Self.path(of: file))
      }
      if status == 0 { return true }
      status = errno
    }
    unlinkat(directory.chunks, temporary, 0)
    noteFailure("write", status)
    return false
  }

  private func noteFailure(_ deed: String, _ status: Int32) {
    let now = Self.monotonicSeconds()
    let isResting = state.withLock { state in
      state.failuresInARow += 1
      let isFull = status == ENOSPC || status == EDQUOT
      guard isFull || state.failuresInARow >= Self.maxFailuresInARow, state.restsUntil <= now else {
        return false
      }
      state.restsUntil = now + Self.restSeconds
      return true
    }
    guard isResting else { return }
    let event = status == ENOSPC || status == EDQUOT ? "cache.full" : "cache.down"
    logger.warning(
      "the cache directory cannot be used; going on without it, next try in 30 s",
      metadata: [
        "event": "\(event)", "deed": "\(deed)", "path": "\(directory.path)",
        "error": "\(String(cString: strerror(status)))",
      ]
    )
  }

  // MARK: Scan

  /// Reads what earlier mounts left, oldest files first to go, and clears up after dead ones.
  func scan() {
    var found: [(file: FileLedger.FileID, diskBytes: Int64, modified: timespec)] = []
    forEachName(in: directory.chunks, path: ".") { folder in
      if folder.hasPrefix(".") {
        removeIfLeftBehind(folder)
        return
      }
      guard let identity = ShardIdentity(fileName: folder) else { return }
      let descriptor = openat(
        directory.chunks,
        folder,
        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
      )
      guard descriptor >= 0 else { return }
      defer { close(descriptor) }
      forEachName(in: descriptor, path: ".") { name in
        var status = stat()
        guard let file = FileLedger.FileID(identity: identity, name: name),
          fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0
        else { return }
        let diskBytes = FileLedger.diskBytes(ofFile: Int(clamping: status.st_size))
        found.append((file, diskBytes, status.st_mtim))
      }
    }
    found.sort { left, right in
      (left.modified.tv_sec, left.modified.tv_nsec) > (
        right.modified.tv_sec, right.modified.tv_nsec
      )
    }
    let doomed = state.withLock { state in
      for entry in found {
        state.ledger.found(entry.file, diskBytes: entry.diskBytes)
      }
      state.isScanned = true
      return state.ledger.makeRoom(for: 0, maxBytes: maxBytes)
    }
    for old in doomed {
      unlinkat(directory.chunks, Self.path(of: old), 0)
    }
  }

  /// A temporary file is named after the process that writes it; where that is gone, so is its use.
  private func removeIfLeftBehind(_ name: String) {
    let parts = name.dropFirst().split(separator: ".")
    guard let first = parts.first, let process = pid_t(first), process > 0 else { return }
    if kill(process, 0) != 0 && errno == ESRCH {
      unlinkat(directory.chunks, name, 0)
    }
  }

  private func forEachName(in folder: Int32, path: String, _ body: (String) -> Void) {
    let descriptor = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    guard let stream = fdopendir(descriptor) else {
      close(descriptor)
      return
    }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { body(name) }
    }
  }

  // MARK: Names and system calls

  private static func file(_ chunk: ChunkID, of identity: ShardIdentity) -> FileLedger.FileID {
    FileLedger.FileID(identity: identity, plane: chunk.plane, number: chunk.number)
  }

  private static func path(of file: FileLedger.FileID) -> String {
    "\(file.identity.fileName)/\(file.name)"
  }

  private static func monotonicSeconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec)
  }
}

/// Repeats a vectored read or write until all is through, an error, or the end of the file.
private func transfer(
  _ buffers: [UnsafeMutableRawBufferPointer],
  _ wanted: Int,
  _ call: (UnsafePointer<iovec>, Int32, off_t) -> Int
) -> Int {
  var done = 0
  while done < wanted {
    var skipped = done
    var parts: [iovec] = []
    for buffer in buffers {
      let skip = min(skipped, buffer.count)
      skipped -= skip
      if skip < buffer.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[skip...])
        parts.append(iovec(iov_base: rest.baseAddress, iov_len: rest.count))
      }
    }
    let count = call(parts, Int32(parts.count), off_t(done))
    if count < 0 && errno == EINTR { continue }
    if count < 0 { return -1 }
    if count == 0 { break }
    done += count
  }
  return done
}

extension ShardIdentity {
  /// Reads back what `fileName` wrote; nil for any other name.
  init?(fileName: String) {
    guard fileName.utf8.count == 32 else { return nil }
    let middle = fileName.index(fileName.startIndex, offsetBy: 16)
    guard let high = UInt64(fileName[..<middle], radix: 16),
      let low = UInt64(fileName[middle...], radix: 16)
    else { return nil }
    self.init(high: high, low: low)
  }
}

extension FileLedger.FileID {
  /// The chunk's number, with `i` before it for the inflated plane.
  fileprivate var name: String { plane == .inflated ? "i\(number)" : "\(number)" }

  fileprivate init?(identity: ShardIdentity, name: String) {
    let isInflated = name.hasPrefix("i")
    guard let number = Int32(isInflated ? String(name.dropFirst()) : name), number >= 0 else {
      return nil
    }
    self.init(identity: identity, plane: isInflated ? .inflated : .stored, number: number)
  }
}
