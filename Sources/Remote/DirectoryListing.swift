import Glibc

/// Walks a directory tree and reports its regular files.
///
/// Links are followed, except into a directory that the walk stands in already. Names come from
/// `readdir` alone, so that no `..` leads out of the tree. Hidden files count as others do.
struct DirectoryListing {
  /// Deeper trees than this are no dataset; each level costs a descriptor and a stack frame.
  static let maxDepth = 64

  let root: String

  /// Reports the files a directory at a time, below each directory in the order of names.
  func walk(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    let descriptor = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.rootError(root, errno) }
    try walk(descriptor, prefix: [], above: [], onPage: page)
  }

  /// Takes over the descriptor.
  private func walk(
    _ descriptor: Int32,
    prefix: [UInt8],
    above: [FileIdentity],
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    guard let stream = fdopendir(descriptor) else {
      let code = errno
      close(descriptor)
      throw .file(path: path(prefix), errno: code)
    }
    defer { closedir(stream) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw .file(path: path(prefix), errno: errno)
    }
    let here = FileIdentity(device: status.st_dev, inode: status.st_ino)
    guard !above.contains(here) else { return }
    guard above.count < Self.maxDepth else {
      throw .file(path: path(prefix), errno: ELOOP)
    }
    var objects: [ObjectInfo] = []
    var folders: [[UInt8]] = []
    for name in try names(stream, prefix) {
      let found = (name + [0]).withUnsafeBufferPointer {
        fstatat(descriptor, $0.cString, &status, 0)
      }
      if found != 0 {
        // A link to nowhere, or a file that went meanwhile.
        if errno == ENOENT || errno == ELOOP { continue }
        throw .file(path: path(prefix + name), errno: errno)
      }
      switch status.st_mode & S_IFMT {
      case S_IFREG:
        objects.append(ObjectInfo(key: ObjectKey(prefix + name), status: status))
      case S_IFDIR:
        folders.append(name)
      default: break
      }
    }
    if !objects.isEmpty { try page(objects) }
    for folder in folders {
      let inner = (folder + [0]).withUnsafeBufferPointer {
        openat(descriptor, $0.cString, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      }
      let folderPrefix = prefix + folder + [UInt8(ascii: "/")]
      if inner < 0, errno == ENOENT { continue }
      guard inner >= 0 else { throw Self.error(path(folderPrefix), errno) }
      try walk(inner, prefix: folderPrefix, above: above + [here], onPage: page)
    }
  }

  private func names(
    _ stream: OpaquePointer,
    _ prefix: [UInt8]
  ) throws(StoreError) -> [[UInt8]] {
    var names: [[UInt8]] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw .file(path: path(prefix), errno: errno) }
        break
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) { start in
        start.withMemoryRebound(to: CChar.self, capacity: 256) { text in
          Array(UnsafeBufferPointer(start: text, count: strnlen(text, 256)))
            .map { UInt8(bitPattern: $0) }
        }
      }
      if name == Array(".".utf8) || name == Array("..".utf8) { continue }
      names.append(name)
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }

  private func path(_ below: [UInt8]) -> String {
    PrintableName.text(Array(root.utf8) + [UInt8(ascii: "/")] + below)
  }

  static func error(_ path: String, _ code: Int32) -> StoreError {
    code == EACCES || code == EPERM
      ? .refused(what: "reading \(path)", code: errorText(code), detail: "")
      : .file(path: path, errno: code)
  }

  private static func rootError(_ path: String, _ code: Int32) -> StoreError {
    let name = PrintableName.text(path.utf8)
    switch code {
    case ENOENT: return .noSuchContainer("the directory \(name)")
    case ENOTDIR: return .invalid("\(name) is not a directory; name the one that holds the shards")
    default: return error(name, code)
    }
  }
}

/// Which file it is, whatever its name.
struct FileIdentity: Hashable {
  let device: dev_t
  let inode: ino_t
}

extension ObjectInfo {
  /// A local file; its ETag says size, time of change in nanoseconds, and inode.
  init(key: ObjectKey, status: stat) {
    self.init(
      key: key,
      sizeBytes: Int64(status.st_size),
      eTag: Self.eTag(status),
      modifiedSeconds: Int64(status.st_mtim.tv_sec)
    )
  }

  static func eTag(_ status: stat) -> String {
    let parts = [
      String(status.st_size, radix: 16), String(status.st_mtim.tv_sec, radix: 16),
      String(status.st_mtim.tv_nsec, radix: 16), String(status.st_ino, radix: 16),
    ]
    return "\"" + parts.joined(separator: "-") + "\""
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// The bytes as C's functions want them; what is pointed to ends with a NUL, or is empty.
  var cString: UnsafePointer<CChar> {
    guard let baseAddress else { preconditionFailure("an empty buffer has no C string") }
    return UnsafeRawPointer(baseAddress).assumingMemoryBound(to: CChar.self)
  }
}
