import Glibc

/// Small files read and written whole, by the calls that make them last.
enum WholeFile {
  /// Reads a file; of a larger one a byte more than `maxBytes`.
  static func read(_ path: String, maxBytes: Int) throws(SystemCallError) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
    guard file >= 0 else { throw .latest }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw .latest }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw SystemCallError(number: EISDIR)
    default: throw SystemCallError(number: EINVAL)
    }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count <= maxBytes {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      // A disk that fails half way must not look like a short file.
      guard count >= 0 else { throw .latest }
      guard count > 0 else { break }
      bytes += buffer.prefix(count)
    }
    return Array(bytes.prefix(maxBytes + 1))
  }

  /// Writes a new file, for us alone to read, and waits until the disk has it.
  ///
  /// What had the name before goes; on failure nothing has it.
  static func write(_ bytes: [UInt8], to path: String) throws(SystemCallError) {
    try remove(path)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let file = open(path, flags, 0o600)
    guard file >= 0 else { throw .latest }
    let failed: SystemCallError?
    if !FileDescriptorOutput.writeAll(bytes, to: file) || fsync(file) != 0 {
      failed = .latest
    } else {
      failed = nil
    }
    // Some file systems say only here that there was no space.
    let closed: SystemCallError? = close(file) == 0 ? nil : .latest
    guard let error = failed ?? closed else { return }
    unlink(path)
    throw error
  }

  static func remove(_ path: String) throws(SystemCallError) {
    guard unlink(path) != 0, errno != ENOENT else { return }
    throw .latest
  }

  static func rename(_ path: String, to name: String) throws(SystemCallError) {
    guard Glibc.rename(path, name) == 0 else { throw .latest }
  }

  /// Waits until the disk knows the names in a folder.
  static func syncFolder(_ path: String) throws(SystemCallError) {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw .latest }
    defer { close(folder) }
    // Some network file systems know no fsync of a folder; their renames are answered by the server.
    guard fsync(folder) == 0 || errno == EINVAL else { throw .latest }
  }
}
