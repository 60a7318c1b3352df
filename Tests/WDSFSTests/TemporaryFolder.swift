import Glibc
import Testing

/// A folder of a test's own, removed with it.
final class TemporaryFolder {
  let path: String

  init() throws {
    let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array((root + "/wdsfs-test-XXXXXX").utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer -> String? in
      guard let base = buffer.baseAddress, let made = mkdtemp(base) else { return nil }
      return String(cString: made)
    }
    let resolved = try #require(made.flatMap { realpath($0, nil) })
    defer { free(resolved) }
    path = String(cString: resolved)
  }

  deinit {
    Self.removeTree(path)
  }

  func folder(_ name: String) throws -> String {
    let folder = path + "/" + name
    try #require(mkdir(folder, 0o755) == 0)
    return folder
  }

  func file(_ name: String, _ text: String = "") throws -> String {
    let path = path + "/" + name
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    try #require(file >= 0)
    defer { close(file) }
    try #require(write(file, text, text.utf8.count) == text.utf8.count)
    return path
  }

  /// What is mounted below stays: removing a folder in use fails.
  private static func removeTree(_ path: String) {
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) {
          String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name == "." || name == ".." { continue }
        let child = path + "/" + name
        if entry.pointee.d_type == UInt8(DT_DIR) { removeTree(child) } else { unlink(child) }
      }
      closedir(folder)
    }
    rmdir(path)
  }
}
