import Glibc
import Synchronization

/// What all mounts on one cache directory keep there together, and the smallest of their limits.
///
/// Every change of the count runs under one lock, which the kernel takes from a process that dies.
/// Bytes are counted before they are written and discounted after they are removed, so a kill -9
/// can only leave too high a count, which the next mount's look at the directory sets right.
///
/// A mount that lives keeps a file locked that holds its limit.
///
/// Proof of `@unchecked Sendable`: the descriptors are set once and used under `turn`.
final class SharedUsage: @unchecked Sendable {
  private static let countName = "usage"
  static let mountPrefix = "mount-"

  private let directory: CacheDirectory
  private let ownMaxBytes: Int64
  private let turn = Mutex<Void>(())
  private let countFile: Int32
  private var mountFile: Int32 = -1
  private var mountName = ""
  private let hasOthers = Atomic(false)

  init(directory: CacheDirectory, maxBytes: Int64) {
    self.directory = directory
    self.ownMaxBytes = maxBytes
    let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC
    countFile = openat(directory.mounts, Self.countName, flags, 0o600)
    withCount { _ in makeMountFile() }
  }

  deinit {
    if countFile >= 0 { close(countFile) }
    guard mountFile >= 0 else { return }
    unlinkat(directory.mounts, mountName, 0)
    close(mountFile)
  }

  /// Shows the body the bytes in use while no other mount changes them; nil where they are unknown.
  ///
  /// Blocks while another mount is at it.
  @discardableResult
  func withCount<Value: Sendable>(_ body: (inout Int64?) -> Value) -> Value {
    turn.withLock { _ in
      while flock(countFile, LOCK_EX) != 0 && errno == EINTR {}
      defer { flock(countFile, LOCK_UN) }
      let before = readCount()
      var count = before
      let value = body(&count)
      if count != before, let count { writeCount(max(0, count)) }
      return value
    }
  }

  /// Whether other mounts were there when their limits were last looked at; without I/O.
  var isShared: Bool { hasOthers.load(ordering: .relaxed) }

  /// The smallest limit of the mounts that live; only within `withCount`.
  func smallestLimit() -> Int64 {
    var limit = ownMaxBytes
    var isShared = false
    defer { hasOthers.store(isShared, ordering: .relaxed) }
    forEachName(in: directory.mounts) { name in
      guard name.hasPrefix(Self.mountPrefix), name != mountName else { return }
      let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
      let file = openat(directory.mounts, name, flags)
      guard file >= 0 else { return }
      defer { close(file) }
      if flock(file, LOCK_SH | LOCK_NB) == 0 {
        unlinkat(directory.mounts, name, 0)
        return
      }
      isShared = true
      var bytes: Int64 = 0
      guard pread(file, &bytes, 8, 0) == 8 else { return }
      bytes = Int64(littleEndian: bytes)
      if bytes > 0 { limit = min(limit, bytes) }
    }
    return limit
  }

  /// The part of the file system that is left to others.
  private static let spareParts: UInt64 = 20

  /// How many bytes may be written before a twentieth of the file system is all that is left.
  func spareBytes() -> Int64 {
    var status = statvfs()
    guard fstatvfs(directory.chunks, &status) == 0 else { return Int64.max }
    let reserve = UInt64(status.f_blocks) / Self.spareParts
    let blocks = UInt64(status.f_bavail) > reserve ? UInt64(status.f_bavail) - reserve : 0
    let (bytes, isOver) = blocks.multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return isOver ? Int64.max : Int64(clamping: bytes)
  }

  private func makeMountFile() {
    // A name that was left behind, or is another container's, is passed by.
    for number in 0..<Int32.max {
      let name = "\(Self.mountPrefix)\(getpid())-\(number)"
      let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
      let file = openat(directory.mounts, name, flags, 0o600)
      if file < 0 && errno == EEXIST { continue }
      guard file >= 0 else { return }
      flock(file, LOCK_EX | LOCK_NB)
      var bytes = ownMaxBytes.littleEndian
      pwrite(file, &bytes, 8, 0)
      mountFile = file
      mountName = name
      return
    }
  }

  // MARK: The count

  /// The count and its complement, so that a file that was cut or never written counts for nothing.
  private func readCount() -> Int64? {
    var words: (Int64, Int64) = (0, 0)
    guard pread(countFile, &words, 16, 0) == 16 else { return nil }
    let count = Int64(littleEndian: words.0)
    guard count == ~Int64(littleEndian: words.1), count >= 0 else { return nil }
    return count
  }

  private func writeCount(_ count: Int64) {
    var words = (count.littleEndian, (~count).littleEndian)
    pwrite(countFile, &words, 16, 0)
  }
}
