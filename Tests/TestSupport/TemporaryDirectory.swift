import Glibc
import Remote

/// A directory of a test's own, gone with the value.
///
/// It lies in `TMPDIR`, else in `/tmp`. Names are relative to it; what is mounted below it stays.
package final class TemporaryDirectory: Sendable {
  /// Without links, as the kernel names it.
  package let path: String

  package init() throws(TestFailure) {
    let root = RunningProcess.variable("TMPDIR") ?? "/tmp"
    var template = Array("\(root)/wdsfs-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: \(errorText(errno))") }
    guard let resolved = realpath(template, nil) else {
      throw TestFailure("realpath: \(errorText(errno))")
    }
    defer { free(resolved) }
    path = String(cString: resolved)
  }

  deinit {
    _ = try? RunningProcess("/bin/rm", ["-rf", "--one-file-system", path]).wait()
  }

  /// Makes a file, and the directories on its way.
  ///
  /// - Parameters:
  ///   - bytes: All that it will hold.
  ///   - name: For example `a/b`.
  /// - Returns: Its path.
  /// - Throws: Where it cannot be written.
  @discardableResult
  package func write(
    _ bytes: some Sequence<UInt8>,
    to name: String
  ) throws(TestFailure) -> String {
    try write(bytes, toBytes: Array(name.utf8))
    return "\(path)/\(name)"
  }

  /// The same for names that are no text.
  package func write(
    _ bytes: some Sequence<UInt8>,
    toBytes name: [UInt8]
  ) throws(TestFailure) {
    let full = Array(path.utf8) + [UInt8(ascii: "/")] + name
    for place in full.indices.dropFirst() where full[place] == UInt8(ascii: "/") {
      Self.withCString(full[..<place]) { _ = mkdir($0, 0o755) }
    }
    let descriptor = Self.withCString(full[...]) {
      open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    }
    guard descriptor >= 0 else { throw TestFailure("open: \(errorText(errno))") }
    defer { close(descriptor) }
    let data = Array(bytes)
    var done = 0
    while done < data.count {
      let count = data[done...].withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      guard count > 0 else { throw TestFailure("write: \(errorText(errno))") }
      done += count
    }
  }

  /// All that a file holds.
  package func read(_ name: String) throws(TestFailure) -> [UInt8] {
    let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TestFailure("open \(name): \(errorText(errno))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { throw TestFailure("read \(name): \(errorText(errno))") }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  /// Makes a directory and gives its path.
  @discardableResult
  package func makeDirectory(_ name: String) throws(TestFailure) -> String {
    let directory = "\(path)/\(name)"
    guard mkdir(directory, 0o755) == 0 else {
      throw TestFailure("mkdir \(name): \(errorText(errno))")
    }
    return directory
  }

  package func makePipe(_ name: String) {
    mkfifo("\(path)/\(name)", 0o644)
  }

  package func link(_ name: String, to target: String) {
    symlink(target, "\(path)/\(name)")
  }

  private static func withCString<Value>(
    _ bytes: ArraySlice<UInt8>,
    _ body: (UnsafePointer<CChar>) -> Value
  ) -> Value {
    (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { preconditionFailure("an empty C string") }
      return body(start)
    }
  }
}

/// What went wrong in a test's own machinery.
package struct TestFailure: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}

extension TemporaryDirectory {
  /// What lies in it, sorted.
  package func names() throws(TestFailure) -> [String] {
    guard let stream = opendir(path) else { throw TestFailure("opendir: \(errorText(errno))") }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package func remove(_ name: String) throws(TestFailure) {
    guard unlink("\(path)/\(name)") == 0 else { throw TestFailure("unlink: \(errorText(errno))") }
  }

  package func rename(_ name: String, to other: String) throws(TestFailure) {
    guard Glibc.rename("\(path)/\(name)", "\(path)/\(other)") == 0 else {
      throw TestFailure("rename: \(errorText(errno))")
    }
  }

  /// Sets a file's time of change.
  package func setModified(_ name: String, seconds: Int) throws(TestFailure) {
    let times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
    guard utimensat(AT_FDCWD, "\(path)/\(name)", times, 0) == 0 else {
      throw TestFailure("utimensat: \(errorText(errno))")
    }
  }
}
