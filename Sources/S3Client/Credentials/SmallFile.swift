import Glibc
import Remote

/// A file that is small by nature and read whole: a config file, a token.
struct SmallFile {
  let bytes: [UInt8]

  /// Whether users other than its owner may read it.
  let isReadableByOthers: Bool

  enum Failure: Error, Hashable {
    case missing
    case unreadable(errno: Int32)
    case tooLarge
  }

  /// Reads it; a pipe or device that has nothing at once counts as empty.
  init(reading path: String, maxBytes: Int) throws(Failure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0, errno == ENOENT || errno == ENOTDIR { throw .missing }
    guard descriptor >= 0 else { throw .unreadable(errno: errno) }
    defer { close(descriptor) }
    var found = stat()
    isReadableByOthers =
      fstat(descriptor, &found) == 0 && found.st_mode & S_IFMT == S_IFREG
      && found.st_mode & (S_IRGRP | S_IROTH) != 0
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let count = read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .unreadable(errno: errno) }
      if count == 0 { break }
      bytes += block[..<count]
      guard bytes.count <= maxBytes else { throw .tooLarge }
    }
    self.bytes = bytes
  }

  /// Reads a token: one word, without the line's end that an editor leaves.
  ///
  /// - Throws: `StoreError.credentials`, which names the file and what it was to be.
  static func token(_ what: String, at path: String) throws(StoreError) -> String {
    let bytes: [UInt8]
    do throws(Failure) {
      bytes = try SmallFile(reading: path, maxBytes: 64 * 1024).bytes
    } catch {
      throw .credentials("\(what) \(PrintableName.text(path.utf8)) \(error.text)")
    }
    let word = bytes.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
    guard !word.isEmpty, word.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw .credentials("\(what) \(PrintableName.text(path.utf8)) holds no token")
    }
    return String(decoding: word, as: UTF8.self)
  }
}

extension SmallFile.Failure {
  /// Goes on from a file's name.
  var text: String {
    switch self {
    case .missing: "is not there"
    case .unreadable(let number): "cannot be read: \(errorText(number))"
    case .tooLarge: "is too large for what it should be"
    }
  }
}
