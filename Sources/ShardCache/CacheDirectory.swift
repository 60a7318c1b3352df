import Glibc

/// The place on disk where chunks and indexes are kept across mounts.
///
/// Opened once by descriptor; what lies in it is reached from there without following links, so
/// that nobody can move the cache under a running mount. Its own folders inside the one the user
/// named are 0700, their files 0600.
package final class CacheDirectory: Sendable {
  package let path: String
  let chunks: Int32
  let indexes: Int32

  /// One file a mount that uses the directory now, and how many bytes all of them keep there.
  let mounts: Int32

  /// The folder of this version, within the one that the user named.
  static let rootName = "wdsfs-1"

  /// Opens the directory, making it and its folders where they are missing.
  ///
  /// - Throws: `CacheDirectoryError` where it is a link, someone else's, open to others' writes or
  ///   not writable.
  package init(path: String) throws(CacheDirectoryError) {
    var end = path.endIndex
    // A slash at the end would follow a link.
    while end > path.startIndex, path[path.index(before: end)] == "/" {
      end = path.index(before: end)
    }
    let name = end > path.startIndex ? String(path[..<end]) : path
    guard !name.isEmpty else { throw .unusable(path: path, reason: "it has no name") }
    self.path = name
    try Self.makeParents(of: name)
    let outer = try Self.openFolder(name, below: AT_FDCWD, path: name, isOurs: false)
    defer { close(outer) }
    let root = try Self.openFolder(Self.rootName, below: outer, path: name)
    defer { close(root) }
    var opened: [Int32] = []
    do throws(CacheDirectoryError) {
      for folder in ["chunks", "indexes", "mounts"] {
        let path = "\(name)/\(Self.rootName)"
        opened.append(try Self.openFolder(folder, below: root, path: path))
      }
      guard faccessat(opened[0], ".", W_OK, 0) == 0 else {
        throw .unusable(path: name, reason: "it is not writable")
      }
    } catch {
      for folder in opened { close(folder) }
      throw error
    }
    (chunks, indexes, mounts) = (opened[0], opened[1], opened[2])
  }

  deinit {
    close(chunks)
    close(indexes)
    close(mounts)
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

  // MARK: Making and opening

  private static func makeParents(of path: String) throws(CacheDirectoryError) {
    var end = path.startIndex
    while let slash = path[end...].dropFirst().firstIndex(of: "/") {
      let parent = String(path[..<slash])
      if mkdir(parent, 0o755) != 0 && errno != EEXIST {
        throw .unusable(path: path, reason: "cannot make \(parent): \(errorText(errno))")
      }
      end = slash
    }
  }

  /// Opens a folder, made where it is missing.
  ///
  /// - Parameters:
  ///   - name: Its name, or its path where there is no folder above.
  ///   - parent: The folder above.
  ///   - path: Of the folder above, or its own, for messages.
  ///   - isOurs: One that only we make, and that nobody else may even read.
  /// - Returns: Its descriptor.
  /// - Throws: What is wrong with it.
  private static func openFolder(
    _ name: String,
    below parent: Int32,
    path: String,
    isOurs: Bool = true
  ) throws(CacheDirectoryError) -> Int32 {
    let path = isOurs ? "\(path)/\(name)" : path
    if mkdirat(parent, name, 0o700) != 0 && errno != EEXIST {
      throw .unusable(path: path, reason: "cannot make it: \(errorText(errno))")
    }
    let folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard folder >= 0 else {
      let isOther = errno == ENOTDIR || errno == ELOOP
      let reason = isOther ? "it is a link or a file, not a directory" : errorText(errno)
      throw .unusable(path: path, reason: reason)
    }
    do throws(CacheDirectoryError) {
      var status = stat()
      guard fstat(folder, &status) == 0 else {
        throw .unusable(path: path, reason: errorText(errno))
      }
      guard status.st_uid == geteuid() else {
        throw .unusable(path: path, reason: "it belongs to user \(status.st_uid), not to us")
      }
      guard status.st_mode & 0o022 == 0 else {
        throw .unusable(path: path, reason: "others may write to it; chmod go-w it")
      }
      if isOurs && status.st_mode & 0o077 != 0 && fchmod(folder, 0o700) != 0 {
        throw .unusable(path: path, reason: "others may read it: \(errorText(errno))")
      }
    } catch {
      close(folder)
      throw error
    }
    return folder
  }
}

/// Why a cache directory cannot be used; exit code 9 at mount.
package enum CacheDirectoryError: Error, Hashable, CustomStringConvertible, Sendable {
  case unusable(path: String, reason: String)

  package var description: String {
    switch self {
    case .unusable(let path, let reason):
      "cache directory \(path): \(reason); give another with --cache-dir, or --cache-dir memory"
    }
  }
}

func errorText(_ status: Int32) -> String { String(cString: strerror(status)) }

/// Calls the body with each name in a folder but `.` and `..`.
///
/// - Returns: How many there were.
@discardableResult
func forEachName(in folder: Int32, path: String = ".", _ body: (String) -> Void) -> Int {
  let descriptor = openat(folder, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
  guard descriptor >= 0 else { return 0 }
  guard let stream = fdopendir(descriptor) else {
    close(descriptor)
    return 0
  }
  defer { closedir(stream) }
  var count = 0
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name == "." || name == ".." { continue }
    count += 1
    body(name)
  }
  return count
}
