import Glibc
import Synchronization

/// Removes a file or an empty folder.
func removeEntry(_ name: String, in folder: Int32) -> Bool {
  if unlinkat(folder, name, 0) == 0 { return true }
  return errno == EISDIR && unlinkat(folder, name, AT_REMOVEDIR) == 0
}

/// A file beside its place, moved there once it is whole.
///
/// It is locked while it is written. A kill -9 ends the lock with the process, so whoever can take
/// the lock knows that the file was left behind, in whatever container its writer ran.
struct TemporaryFile: ~Copyable {
  private static let count = Atomic<Int>(0)

  let descriptor: Int32
  private let folder: Int32
  private let name: String

  /// Makes one in a folder; fails with `errno`.
  init?(in folder: Int32) {
    let number = Self.count.add(1, ordering: .relaxed).newValue
    let name = ".\(getpid()).\(number)"
    let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    var descriptor = openat(folder, name, flags, 0o600)
    if descriptor < 0 && errno == EEXIST {
      // Another process of this number left it, or has it in another container.
      guard Self.isLeftBehind(name, in: folder) else { return nil }
      unlinkat(folder, name, 0)
      descriptor = openat(folder, name, flags, 0o600)
    }
    guard descriptor >= 0 else { return nil }
    flock(descriptor, LOCK_EX | LOCK_NB)
    self.descriptor = descriptor
    self.folder = folder
    self.name = name
  }

  deinit {
    close(descriptor)
  }

  /// Moves the file to its place, over what may be there.
  ///
  /// - Returns: 0, or the error.
  func move(to place: String) -> Int32 {
    if renameat(folder, name, folder, place) == 0 { return 0 }
    // A folder that somebody put there would be in the way for ever.
    guard errno == EISDIR, removeEntry(place, in: folder) else { return errno }
    return renameat(folder, name, folder, place) == 0 ? 0 : errno
  }

  func remove() {
    unlinkat(folder, name, 0)
  }

  /// Whether nobody writes to the file any more.
  static func isLeftBehind(_ name: String, in folder: Int32) -> Bool {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    let descriptor = openat(folder, name, flags)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) == 0
  }

  /// Removes what killed processes left in a folder.
  ///
  /// - Returns: How many are being written now.
  @discardableResult
  static func removeLeftovers(in folder: Int32) -> Int {
    var liveCount = 0
    forEachName(in: folder) { name in
      guard name.hasPrefix(".") else { return }
      if isLeftBehind(name, in: folder) {
        unlinkat(folder, name, 0)
      } else {
        liveCount += 1
      }
    }
    return liveCount
  }
}
