/// Reads what follows `-o`: the words of mount(8) and fstab(5), and our options as `name=value`.
///
/// A comma within a value is written `\,`; mount(8) passes on what it does not know.
package enum FstabOptions {
  package struct Item: Hashable, Sendable {
    package let name: OptionName
    package let value: String
  }

  /// Words that mount(8) and systemd act on, or that say what a wdsfs mount is anyhow.
  private static let ignored: Set<String> = [
    "ro", "rw", "defaults", "auto", "noauto", "nofail", "fail", "_netdev", "user", "nouser",
    "users", "owner", "group", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "atime",
    "noatime", "relatime", "norelatime", "strictatime", "diratime", "nodiratime", "sync", "async",
    "dirsync", "default_permissions", "nonempty",
  ]

  /// The options among the words, in order.
  package static func items(of text: String) throws(Failure) -> [Item] {
    var items: [Item] = []
    for word in words(of: text) {
      let (name, value) = parts(of: word)
      if ignored.contains(name) || name.hasPrefix("x-") || name.hasPrefix("X-") { continue }
      if name == "comment" || name == "fsname" || name == "subtype" { continue }
      guard let option = OptionName(inMountOptions: name), !option.isArgument else {
        throw Failure(.usage, "unknown mount option: -o \(name); see wdsfs mount --help")
      }
      switch (option.kind, value) {
      case (.flag, nil):
        items.append(Item(name: option, value: "true"))
      case (_, let value?):
        items.append(Item(name: option, value: value))
      case (_, nil):
        throw Failure(.usage, "mount option without value: -o \(name); write \(name)=VALUE")
      }
    }
    return items
  }

  private static func words(of text: String) -> [String] {
    var words: [String] = []
    var word = ""
    var isEscaped = false
    for scalar in text.unicodeScalars {
      if isEscaped {
        // Other backslashes stay: they may belong to a pattern.
        if scalar != "," { word += "\\" }
        word.unicodeScalars.append(scalar)
        isEscaped = false
      } else if scalar == "\\" {
        isEscaped = true
      } else if scalar == "," {
        words.append(word)
        word = ""
      } else {
        word.unicodeScalars.append(scalar)
      }
    }
    if isEscaped { word += "\\" }
    words.append(word)
    return words.filter { !$0.isEmpty }
  }

  private static func parts(of word: String) -> (name: String, value: String?) {
    guard let equals = word.firstIndex(of: "=") else { return (word, nil) }
    return (String(word[..<equals]), String(word[word.index(after: equals)...]))
  }
}
