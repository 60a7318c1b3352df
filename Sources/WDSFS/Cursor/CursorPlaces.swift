import Glibc

/// Which files the cursor of a mount comes from, and which one it is saved in.
package struct CursorPlaces: Hashable, Sendable {
  /// Saved by this mount, and by no other at the same time.
  package let written: String

  /// Read besides, and never written.
  package let others: [String]

  /// What the files of a directory end in.
  package static let suffix = ".cursor"

  /// Resolves what `--cursor` names.
  ///
  /// In a directory the mount's own file is called after host and mountpoint, so that all nodes of a
  /// job can be given one directory on a shared disk: `node-1@mnt-wds.cursor` for `/mnt/wds`. Signs
  /// other than letters, digits, `.` and `_` are written `%HH`, in the host's name `-` excepted.
  ///
  /// - Parameters:
  ///   - paths: Absolute, at least one.
  ///   - mountPoint: Absolute, without links.
  ///   - hostName: Of this machine; nil to ask it.
  /// - Throws: `.usage` for a directory beside others; `.cursor` for one that cannot be read.
  package init(
    _ paths: [String],
    mountPoint: String,
    hostName: String? = nil
  ) throws(Failure) {
    guard let first = paths.first else { preconditionFailure("no --cursor to resolve") }
    guard let folder = paths.first(where: Self.isFolder) else {
      guard !first.hasSuffix("/") else {
        throw Failure(.cursor, "no such directory: \(first); make it with mkdir -p \(first)")
      }
      written = first
      others = Array(paths.dropFirst())
      return
    }
    guard paths.count == 1 else {
      throw Failure(.usage, "--cursor: \(folder) is a directory; name it alone, or files only")
    }
    let base = folder.hasSuffix("/") ? folder : folder + "/"
    let own = Self.ownName(mountPoint: mountPoint, hostName: hostName ?? HostName.own)
    written = base + own
    others = try Self.names(in: folder).filter { $0 != own }.map { base + $0 }
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// The cursor files of a directory, by name.
  static func names(in folder: String) throws(Failure) -> [String] {
    guard let open = opendir(folder) else {
      throw Failure(.cursor, "cannot read the directory: \(folder): \(SystemCallError.latest)")
    }
    defer { closedir(open) }
    var names: [String] = []
    while let entry = readdir(open) {
      let name = DirectoryEntry.name(entry)
      if name.hasSuffix(suffix), name.utf8.count > suffix.utf8.count { names.append(name) }
    }
    return names.sorted()
  }

  private static func ownName(mountPoint: String, hostName: String) -> String {
    let parts = mountPoint.split(separator: "/").map { escaped($0, keepsHyphen: false) }
    let host = escaped(hostName[...], keepsHyphen: true)
    let name = "\(host)@\(parts.joined(separator: "-"))"
    // 255 bytes may a name have, and `.previous.new` follows.
    guard name.utf8.count > 200 else { return name + suffix }
    let sum = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { sum, byte in
      (sum ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    return "\(name.prefix(180))-\(String(sum, radix: 16))\(suffix)"
  }

  private static func escaped(_ text: Substring, keepsHyphen: Bool) -> String {
    var escaped = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"):
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: "-") where keepsHyphen:
        escaped += "-"
      default:
        escaped += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
      }
    }
    return escaped
  }
}
