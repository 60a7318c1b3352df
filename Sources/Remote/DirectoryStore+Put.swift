import Glibc

extension DirectoryStore: WritableStore {
  /// Writes beside the place and renames, with the bytes on disk before the name is there.
  package func put(_ content: ObjectContent, to key: ObjectKey) throws(StoreError) {
    let parts = key.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let isPlain = parts.allSatisfy { part in
      !part.isEmpty && !part.elementsEqual("..".utf8) && !part.elementsEqual(".".utf8)
    }
    guard isPlain, !key.bytes.contains(0), let name = parts.last else {
      throw .invalid("no file can be called \(key)")
    }
    var folder = root
    for part in parts.dropLast() {
      folder += "/" + String(decoding: part, as: UTF8.self)
      guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
        throw DirectoryListing.error(PrintableName.text(folder.utf8), errno)
      }
    }
    let place = folder + "/" + String(decoding: name, as: UTF8.self)
    let beside = "\(folder)/.\(String(decoding: name, as: UTF8.self)).\(getpid())"
    do throws(StoreError) {
      try write(content, to: beside)
      guard rename(beside, place) == 0 else { throw .file(path: place, errno: errno) }
    } catch {
      unlink(beside)
      throw error
    }
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if directory >= 0 {
      fsync(directory)
      close(directory)
    }
  }

  private func write(_ content: ObjectContent, to path: String) throws(StoreError) {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw DirectoryListing.error(PrintableName.text(path.utf8), errno) }
    defer { close(file) }
    var rest = content.bytes
    while let start = rest.baseAddress, !rest.isEmpty {
      let count = Glibc.write(file, start, rest.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .file(path: PrintableName.text(path.utf8), errno: errno) }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    guard fsync(file) == 0 else { throw .file(path: PrintableName.text(path.utf8), errno: errno) }
  }
}
