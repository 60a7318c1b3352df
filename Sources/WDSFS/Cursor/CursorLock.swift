import Glibc

/// What keeps a second mount off a cursor file: a lock on `FILE.lock`.
///
/// Not on the cursor itself, which each save replaces: a lock on a renamed file locks nothing. The file
/// stays when the lock goes, since whoever removed it might remove the next holder's. The kernel lets
/// go of the lock when the process ends, however it ends.
final class CursorLock: Sendable {
  private let file: Int32

  /// Takes the lock, waiting a little for a mount that ends.
  ///
  /// - Parameter path: Of the cursor.
  /// - Throws: `.cursor`, naming the process that has it.
  init(of path: String) throws(Failure) {
    let name = path + ".lock"
    let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY
    file = open(name, flags, 0o600)
    guard file >= 0 else {
      throw Failure(
        .cursor,
        "cannot write the cursor there: \(name): \(SystemCallError.latest); "
          + "name a --cursor in a directory of yours"
      )
    }
    do {
      try ExclusiveLock.take(file)
    } catch {
      defer { close(file) }
      guard error.number == EWOULDBLOCK else {
        throw Failure(.cursor, "cannot lock the cursor: \(name): \(error); name another --cursor")
      }
      throw Failure(
        .cursor,
        "the cursor is in use by \(Self.holder(file)): \(path); unmount that, or name another --cursor"
      )
    }
    // For people only, so that nothing depends on its being written.
    _ = ftruncate(file, 0)
    FileDescriptorOutput.writeAll(Array("\(getpid()) \(HostName.own)\n".utf8), to: file)
  }

  /// Lets go of the lock before the process ends, which takes as long as its memory is large.
  func release() {
    ExclusiveLock.release(file)
  }

  deinit {
    release()
    close(file)
  }

  private static func holder(_ file: Int32) -> String {
    let bytes = FileDescriptorOutput.readAll(from: file, maxBytes: 512)
    let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard let word = words.first, let processID = Int32(word) else { return "another process" }
    // Over a network file system it may be a process of another machine.
    let host = words.dropFirst().first.map(String.init)
    let place = host == nil || host == HostName.own ? "" : " on \(host ?? "")"
    return "process \(processID)\(place)"
  }
}

enum HostName {
  static var own: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return bytes.isEmpty ? "localhost" : String(decoding: bytes, as: UTF8.self)
  }
}
