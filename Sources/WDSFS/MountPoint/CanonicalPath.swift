import Glibc

/// Finds the real path of a mountpoint without asking what is mounted there.
///
/// realpath(3) asks the last folder for its attributes, and where that is a mount whose process is
/// dead or hangs, it fails or never returns.
enum CanonicalPath {
  /// As the kernel's own bound on links in a path.
  private static let maxLinks = 40

  /// - Parameter path: Absolute.
  /// - Returns: The path without links, dots and doubled slashes.
  /// - Throws: The errno of what lies above; that the last folder is missing is no error here.
  static func of(_ path: String) throws(SystemCallError) -> String {
    try resolved(path, linksLeft: maxLinks)
  }

  /// Resolves as much of a path as is there; what is still to be made is left as it stands.
  ///
  /// - Parameter path: Absolute.
  /// - Returns: The path without links, as far as it is there.
  static func nearest(to path: String) -> String {
    var there = path[...]
    while !there.isEmpty {
      if let real = try? real(String(there)) {
        let rest = path[there.endIndex...].split(separator: "/")
        let folder = real == "/" ? "" : real
        return rest.isEmpty ? real : folder + "/" + rest.joined(separator: "/")
      }
      there = there[..<(there.lastIndex(of: "/") ?? there.startIndex)]
    }
    return path
  }

  private static func resolved(
    _ path: String,
    linksLeft: Int
  ) throws(SystemCallError) -> String {
    guard linksLeft > 0 else { throw SystemCallError(number: ELOOP) }
    let parts = path.split(separator: "/").filter { $0 != "." }
    guard let name = parts.last else { return "/" }
    // What lies above is no business of ours to be careful with.
    if name == ".." { return try real(path) }
    let parent = try real("/" + parts.dropLast().joined(separator: "/"))
    let whole = parent == "/" ? "/\(name)" : "\(parent)/\(name)"
    guard let target = link(whole) else { return whole }
    let next = target.hasPrefix("/") ? target : parent + "/" + target
    return try resolved(next, linksLeft: linksLeft - 1)
  }

  private static func real(_ path: String) throws(SystemCallError) -> String {
    guard let resolved = realpath(path, nil) else { throw .latest }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Where the link leads; nil for what is none.
  ///
  /// The kernel answers without the file system's help.
  private static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
