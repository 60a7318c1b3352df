import Glibc

/// What is mounted where, as this process sees it.
///
/// Format: `/proc/PID/mountinfo` in proc_pid_mountinfo(5). Paths and sources there come from whoever
/// mounted them; a line that does not fit is passed over.
package struct MountTable: Sendable {
  package struct Entry: Hashable, Sendable {
    package let target: [UInt8]

    /// The device number as `major:minor`.
    package let device: String

    /// For example `ext4` or `fuse.wdsfs`.
    package let fileSystem: [UInt8]

    /// Device, or what the file system calls its source.
    package let source: [UInt8]

    package var isWdsfs: Bool { fileSystem.elementsEqual("fuse.wdsfs".utf8) }
  }

  /// In the order in which they were mounted.
  package let entries: [Entry]

  package init(mountinfo: [UInt8]) {
    entries = mountinfo.split(separator: UInt8(ascii: "\n")).compactMap(Self.entry)
  }

  /// The table as it is now.
  package static func current() -> MountTable { table("self") }

  /// As another process sees it; empty where that cannot be seen.
  package static func of(_ process: Int32) -> MountTable { table("\(process)") }

  private static func table(_ process: String) -> MountTable {
    let file = open("/proc/\(process)/mountinfo", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return MountTable(mountinfo: []) }
    defer { close(file) }
    return MountTable(mountinfo: FileDescriptorOutput.readAll(from: file, maxBytes: 64 << 20))
  }

  /// The mount that is seen at the path, the last of those stacked there.
  package func top(at path: String) -> Entry? {
    let target = Array(path.utf8)
    return entries.last { $0.target == target }
  }

  /// Fields 5, then those after a lone hyphen: optional fields of any number stand between.
  private static func entry(_ line: ArraySlice<UInt8>) -> Entry? {
    let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard fields.count >= 10 else { return nil }
    guard let hyphen = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
      hyphen + 2 < fields.count
    else { return nil }
    return Entry(
      target: unescaped(fields[4]),
      device: String(decoding: fields[2], as: UTF8.self),
      fileSystem: unescaped(fields[hyphen + 1]),
      source: unescaped(fields[hyphen + 2])
    )
  }

  /// Blank, tab, line end and backslash stand there as a backslash and three octal digits.
  static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3, let escaped = octal(digits) {
        bytes.append(escaped)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  private static func octal(_ digits: ArraySlice<UInt8>) -> UInt8? {
    var value = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
      value = value * 8 + Int(digit - UInt8(ascii: "0"))
    }
    return UInt8(exactly: value)
  }
}
