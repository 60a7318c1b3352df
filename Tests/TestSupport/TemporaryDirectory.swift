import Glibc
import Remote

/// A directory of a test's own, gone with the value.
package final class TemporaryDirectory: Sendable {
  package let path: String

  package init() throws(TestFailure) {
    var template = Array("/tmp/wdsfs-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: \(errorText(errno))") }
    path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
  }

  /// Makes a file, and the directories on its way.
  package func write(_ bytes: some Sequence<UInt8>, to name: String) throws(TestFailure) {
    try write(bytes, toBytes: Array(name.utf8))
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

  package func makeDirectory(_ name: String) {
    mkdir("\(path)/\(name)", 0o755)
  }

  package func makePipe(_ name: String) {
    mkfifo("\(path)/\(name)", 0o644)
  }

  package func link(_ name: String, to target: String) {
    symlink(target, "\(path)/\(name)")
  }

  deinit {
    _ = try? RunningProcess("/bin/rm", ["-rf", path]).wait()
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
