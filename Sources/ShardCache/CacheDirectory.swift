import Glibc

/// The place on disk where chunks and indexes are kept across mounts.
///
/// Opened once by descriptor; what lies in it is reached from there without following links, so
/// that nobody can move the cache under a running mount. Its own folder inside the one the user
/// named is 0700, its files are 0600.
package final class CacheDirectory: Sendable {
  package let path: String
  let chunks: Int32
  let indexes: Int32

  /// Opens the directory, making it and its folders where they are missing.
  ///
  /// - Throws: `CacheDirectoryError` where it is a link, someone else's, open to others' writes or
  ///   not writable.
  package init(path: String) throws(CacheDirectoryError) {
    self.path = path
    try Self.makeParents(of: path)
    let outer = try Self.openFolder(path, below: AT_FDCWD, mode: 0o700, checksOwner: true)
    defer { close(outer) }
    let root = try Self.openFolder("wdsfs-1", below: outer, mode: 0o700, checksOwner: true)
    defer { close(root) }
    chunks = try Self.openFolder("chunks", below: root, mode: 0o700, checksOwner: true)
    do throws(CacheDirectoryError) {
      indexes = try Self.openFolder("indexes", below: root, mode: 0o700, checksOwner: true)
    } catch {
      close(chunks)
      throw error
    }
    guard faccessat(chunks, ".", W_OK, 0) == 0 else {
      throw .unusable(path: path, reason: "it is not writable")
    }
  }

  deinit {
    close(chunks)
    close(indexes)
  }

  /// Bytes that an ordinary user may still write to the file system that holds the cache.
  package static func freeBytes(at path: String) -> Int64? {
    var folder = path
    while true {
      var status = statvfs()
      if statvfs(folder, &status) == 0 {
        let (bytes, isOver) = Int64(clamping: status.f_bavail)
          .multipliedReportingOverflow(by: Int64(clamping: status.f_frsize))
        return isOver ? Int64.max : bytes
      }
      guard let slash = folder.lastIndex(of: "/"), folder != "/" else { return nil }
      folder = slash == folder.startIndex ? "/" : String(folder[..<slash])
    }
  }

  private static func makeParents(of path: String) throws(CacheDirectoryError) {
    var end = path.startIndex
    while let slash = path[end...].dropFirst().firstIndex(of: "/") {
      let parent = String(path[..<slash])
      if mkdir(parent, 0o755) != 0 && errno != EEXIST {
        throw .unusable(
          path: path,
          reason: "cannot make \(parent): \(String(cString: strerror(errno)))"
        )
      }
      end = slash
    }
  }

  private static func openFolder(
    _ name: String,
    below parent: Int32,
    mode: mode_t,
    checksOwner: Bool
  ) throws(CacheDirectoryError) -> Int32 {
    if mkdirat(parent, name, mode) != 0 && errno != EEXIST {
      throw .unusable(path: name, reason: "cannot make it: \(String(cString: strerror(errno)))")
    }
    let folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard folder >= 0 else {
      let reason =
        errno == ENOTDIR || errno == ELOOP
        ? "it is a link or a file, not a directory" : String(cString: strerror(errno))
      throw .unusable(path: name, reason: reason)
    }
    var status = stat()
    guard fstat(folder, &status) == 0 else {
      close(folder)
      throw .unusable(path: name, reason: String(cString: strerror(errno)))
    }
    guard !checksOwner || status.st_uid == geteuid() else {
      close(folder)
      throw .unusable(path: name, reason: "it belongs to user \(status.st_uid), not to us")
    }
    guard status.st_mode & 0o022 == 0 else {
      close(folder)
      throw .unusable(path: name, reason: "others may write to it; chmod go-w it")
    }
    return folder
  }
}

/// Why a cache directory cannot be used; exit code 9 at mount.
package enum CacheDirectoryError: Error, CustomStringConvertible, Sendable {
  case unusable(path: String, reason: String)

  package var description: String {
    switch self {
    case .unusable(let path, let reason):
      "cache directory \(path): \(reason); give another with --cache-dir, or --cache-dir memory"
    }
  }
}
