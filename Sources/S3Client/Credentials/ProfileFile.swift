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

  /// Whether users other than the owner may read the file.
  package private(set) var isReadableByOthers = false

  /// Settings by profile; a setting of an indented block is called `block.name`.
  package var profiles: [String: [String: String]] { sections[.profile] ?? [:] }

  /// Settings by the name in `[sso-session name]`.
  var ssoSessions: [String: [String: String]] { sections[.ssoSession] ?? [:] }

  /// Settings by the name in `[services name]`; those of S3, for example, begin with `s3.`.
  var services: [String: [String: String]] { sections[.services] ?? [:] }

  private var sections: [SectionKind: [String: [String: String]]] = [:]

  private enum SectionKind: String {
    case profile
    case ssoSession = "sso-session"
    case services
  }

  /// Reads a file's text.
  ///
  /// - Throws: `StoreError.credentials` with path and line for what is neither section, setting,
  ///   comment nor empty line.
  package init(text: String, path: String, kind: Kind) throws(StoreError) {
    self.path = path
    var place: (kind: SectionKind, name: String)?
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
        place = Self.place(section, kind)
        hasSection = true
        block = nil
        if let place, sections[place.kind]?[place.name] == nil {
          sections[place.kind, default: [:]][place.name] = [:]
        }
        continue
      }
      guard hasSection else { throw Self.malformed(path, number, "a setting before any section") }
      let isIndented = line.first?.isWhitespace ?? false
      // Python's configparser, which the AWS CLI reads these files with, takes either mark.
      let mark = content.firstIndex { $0 == "=" || $0 == ":" && !isIndented }
      guard let mark, mark > content.startIndex else {
        throw Self.malformed(path, number, "neither a section nor a setting")
      }
      let name = Self.trimmed(content[..<mark]).lowercased()
      let written = Self.trimmed(content[content.index(after: mark)...])
      // A command line has its own use for these marks.
      let value = name == "credential_process" ? String(written) : Self.withoutComment(written)
      if !isIndented { block = value.isEmpty ? name : nil }
      guard let place else { continue }
      let fullName = isIndented ? block.map { "\($0).\(name)" } ?? name : name
      sections[place.kind]?[place.name]?[fullName] = value
    }
  }

  /// Reads the file at a path; nil where there is none.
  ///
  /// - Throws: `StoreError.credentials` where it may not be read, or is no such file.
  package static func read(_ path: String, kind: Kind) throws(StoreError) -> ProfileFile? {
    let file: SmallFile
    do throws(SmallFile.Failure) {
      file = try SmallFile(reading: path, maxBytes: maxBytes)
    } catch {
      if error == .missing { return nil }
      throw .credentials("\(path) \(error.text)")
    }
    guard let text = String(validating: file.bytes, as: UTF8.self) else {
      throw .credentials("\(path) is not UTF-8 text; it is no AWS config file")
    }
    var found = try ProfileFile(text: text, path: path, kind: kind)
    found.isReadableByOthers = file.isReadableByOthers
    return found
  }

  // MARK: - Lines

  private static func section(_ content: Substring) -> Substring? {
    guard let end = content.firstIndex(of: "]") else { return nil }
    let rest = trimmed(content[content.index(after: end)...])
    guard rest.isEmpty || rest.hasPrefix("#") || rest.hasPrefix(";") else { return nil }
    return trimmed(content[content.index(after: content.startIndex)..<end])
  }

  /// What a section describes; nil for one of another kind, such as `preview`.
  private static func place(_ section: Substring, _ kind: Kind) -> (SectionKind, String)? {
    switch kind {
    case .credentials: return (.profile, String(section))
    case .config:
      if section == "default" { return (.profile, "default") }
      let words = section.split(maxSplits: 1, whereSeparator: \.isWhitespace)
      guard words.count == 2, let kind = SectionKind(rawValue: String(words[0])) else { return nil }
      let name = trimmed(words[1])
      let isQuoted = name.count >= 2 && name.hasPrefix("\"") && name.hasSuffix("\"")
      return (kind, String(isQuoted ? name.dropFirst().dropLast() : name))
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
}
