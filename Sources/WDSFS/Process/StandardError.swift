import Glibc

/// The line a user sees when a command fails.
package enum StandardError {
  /// Writes the text and a line end; what cannot be written is lost.
  package static func print(_ line: String) {
    FileDescriptorOutput.writeAll(Array((line + "\n").utf8), to: STDERR_FILENO)
  }
}

/// Plain writes to a descriptor, whole or not at all worth a word.
enum FileDescriptorOutput {
  /// - Returns: Whether all was written.
  @discardableResult
  static func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        write(file, $0.baseAddress?.advanced(by: done), $0.count - done)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// Reads to the end, or until the limit is reached.
  static func readAll(from file: Int32, maxBytes: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while bytes.count < maxBytes {
      let count = read(file, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      bytes += buffer.prefix(count)
    }
    return Array(bytes.prefix(maxBytes))
  }
}
