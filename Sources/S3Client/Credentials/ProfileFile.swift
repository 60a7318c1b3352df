import Glibc
package import Remote

/// A config or credentials file of the AWS tools: sections of settings.
package struct ProfileFile: Hashable, Sendable {
  /// Far above any real one; a file is read whole.
  static let maxBytes = 1024 * 1024

  /// Which of the two files it is: a profile's section is called `profile x` in one, `x` in the
  /// other.
  package enum Kind: Sendable {
    case config
    case credentials
  }

  package let path: String

  /// Settings by profile; a setting of an indented block is called `block.name`.
  package private(set) var profiles: [String: [String: String]] = [:]

  /// Reads a file's text.
  ///
  /// - Throws: `StoreError.credentials` with path and line for what is neither section, setting,
  ///   comment nor empty line.
  package init(text: String, path: String, kind: Kind) throws(StoreError) {
    self.path = path
    var profile: String?
    var hasSection = false
    var block: String?
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated()
    {
      let content = Self.trimmed(line)
      if content.isEmpty || content.hasPrefix("#") || content.hasPrefix(";") { continue }
      if line.first == "[" {
        guard let section = Self.section(content) else {
          throw Self.malformed(path, number, "a section that does not end with ]")
        }
        profile = Self.profile(section, kind)
        hasSection = true
        block = nil
        if let profile, profiles[profile] == nil { profiles[profile] = [:] }
        continue
      }
      guard hasSection else { throw Self.malformed(path, number, "a setting before any section") }
      guard let equals = content.firstIndex(of: "="), equals > content.startIndex else {
        throw Self.malformed(path, number, "neither a section nor a setting")
      }
      let name = Self.trimmed(content[..<equals]).lowercased()
      let value = Self.withoutComment(Self.trimmed(content[content.index(after: equals)...]))
      let isIndented = line.first?.isWhitespace ?? false
      if !isIndented { block = value.isEmpty ? name : nil }
      guard let profile else { continue }
      let fullName = isIndented ? block.map { "\($0).\(name)" } ?? name : name
      profiles[profile]?[fullName] = value
    }
  }

  /// Reads the file at a path; nil where there is none.
  ///
  /// - Throws: `StoreError.credentials` where it may not be read, or is no such file.
  package static func read(_ path: String, kind: Kind) throws(StoreError) -> ProfileFile? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0, errno == ENOENT || errno == ENOTDIR { return nil }
    guard descriptor >= 0 else { throw unreadable(path, errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let count = Glibc.read(descriptor, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw unreadable(path, errno) }
      if count == 0 { break }
      bytes += block[..<count]
      guard bytes.count <= maxBytes else {
        throw .credentials("\(path) is larger than \(maxBytes) bytes; it is no AWS config file")
      }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .credentials("\(path) is not UTF-8 text; it is no AWS config file")
    }
    return try ProfileFile(text: text, path: path, kind: kind)
  }

  // MARK: - Lines

  private static func section(_ content: Substring) -> Substring? {
    guard let end = content.firstIndex(of: "]") else { return nil }
    let rest = trimmed(content[content.index(after: end)...])
    guard rest.isEmpty || rest.hasPrefix("#") || rest.hasPrefix(";") else { return nil }
    return trimmed(content[content.index(after: content.startIndex)..<end])
  }

  /// The profile that a section describes; nil for one of another kind, such as `sso-session`.
  private static func profile(_ section: Substring, _ kind: Kind) -> String? {
    switch kind {
    case .credentials: return String(section)
    case .config:
      if section == "default" { return "default" }
      let words = section.split(maxSplits: 1, whereSeparator: \.isWhitespace)
      guard words.count == 2, words[0] == "profile" else { return nil }
      let name = trimmed(words[1])
      let isQuoted = name.count >= 2 && name.hasPrefix("\"") && name.hasSuffix("\"")
      return String(isQuoted ? name.dropFirst().dropLast() : name)
    }
  }

  /// A value ends before a `#` or `;` that follows a blank.
  private static func withoutComment(_ value: Substring) -> String {
    let places = zip(value.indices, value.indices.dropFirst())
    let comment = places.first { value[$0].isWhitespace && (value[$1] == "#" || value[$1] == ";") }
    return String(trimmed(comment.map { value[..<$0.0] } ?? value))
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return text.drop(while: \.isWhitespace)
  }

  private static func malformed(_ path: String, _ number: Int, _ what: String) -> StoreError {
    .credentials("\(path), line \(number + 1): \(what); correct the file")
  }

  private static func unreadable(_ path: String, _ code: Int32) -> StoreError {
    .credentials("cannot read \(path): \(errorText(code))")
  }
}
