import Glibc
import Remote

/// Who keeps a mount busy: processes that are in it, or have a file of it open.
enum Holders {
  /// So many are named.
  private static let maxNamed = 3

  /// For example `python3 (pid 4711), bash (pid 4712)`; empty where none can be seen, for example of
  /// other users.
  static func described(of place: String) -> String {
    described(processes().filter { holds($0, place) })
  }

  /// Who sees a mount in a namespace of mounts that it was copied to: one process of each.
  static func described(ofDevice device: String, except server: Int32) -> String {
    var namespaces = Set([target(of: "/proc/self/ns/mnt")])
    return described(
      processes().filter { process in
        process != server && namespaces.insert(target(of: "/proc/\(process)/ns/mnt")).inserted
          && MountTable.of(process).entries.contains { $0.device == device && $0.isWdsfs }
      }
    )
  }

  private static func described(_ holders: [Int32]) -> String {
    var names = holders.prefix(maxNamed).map { "\(name(of: $0)) (pid \($0))" }
    if holders.count > maxNamed { names.append("\(holders.count - maxNamed) more") }
    return names.joined(separator: ", ")
  }

  private static func processes() -> [Int32] {
    entries(of: "/proc").compactMap { Int32($0) }.filter { $0 != getpid() }
  }

  /// Reads links only, which the kernel makes up; nothing below the mount is touched.
  private static func holds(_ process: Int32, _ place: String) -> Bool {
    let folder = "/proc/\(process)"
    if isBelow(place, folder + "/cwd") || isBelow(place, folder + "/root") { return true }
    return entries(of: folder + "/fd").contains { isBelow(place, folder + "/fd/" + $0) }
  }

  private static func isBelow(_ place: String, _ link: String) -> Bool {
    guard let path = target(of: link) else { return false }
    return path == place || path.hasPrefix(place + "/")
  }

  private static func target(of link: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(link, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func entries(of path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = DirectoryEntry.name(entry)
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  private static func name(of process: Int32) -> String {
    let file = open("/proc/\(process)/comm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "process" }
    defer { close(file) }
    let bytes = FileDescriptorOutput.readAll(from: file, maxBytes: 64)
    return PrintableName.text(bytes.prefix { $0 != UInt8(ascii: "\n") })
  }
}
