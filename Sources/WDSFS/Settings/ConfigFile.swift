import Glibc

/// What a file of `--config` says: options by their long names, and what is mounted where.
///
/// Names may be written with hyphens or underscores. One that is no option is an error, with its
/// line: a misspelt `cache-size` that nobody reads fills a disk.
package struct ConfigFile: Hashable, Sendable {
  package struct Item: Hashable, Sendable {
    package let name: OptionName
    package let text: String
    package let line: Int
  }

  /// As it was named, for messages.
  package let path: String

  /// In the order of the file; an option that may be repeated has an item for each of its values.
  package private(set) var items: [Item] = []

  private static let maxBytes = 1 << 20

  /// Reads a file.
  ///
  /// - Throws: `.usage`, naming the line that is wrong.
  package static func read(_ path: String) throws(Failure) -> ConfigFile {
    let bytes: [UInt8]
    do throws(SystemCallError) {
      bytes = try WholeFile.read(path, maxBytes: maxBytes)
    } catch {
      throw Failure(.usage, "cannot read the configuration: \(path): \(error); name a regular file")
    }
    guard bytes.count <= maxBytes else {
      throw Failure(.usage, "no configuration: \(path) has more than 1 MiB; see --config")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.usage, "no configuration: \(path) is not UTF-8 text; see --config")
    }
    return try ConfigFile(path: path, text: text)
  }

  package init(path: String, text: String) throws(Failure) {
    self.path = path
    let entries: [TOMLReader.Entry]
    do throws(TOMLReader.Wrong) {
      entries = try TOMLReader.entries(of: text)
    } catch {
      throw Failure(.usage, "\(path):\(error.line): \(error.what)")
    }
    var lines: [OptionName: Int] = [:]
    for entry in entries {
      guard let name = OptionName(inMountOptions: entry.key), name != .config else {
        throw Failure(.usage, "\(path):\(entry.line): \(Self.unknown(entry.key))")
      }
      if let line = lines[name] {
        let what = "'\(entry.key)' stands in line \(line) already"
        throw Failure(.usage, "\(path):\(entry.line): \(what)")
      }
      lines[name] = entry.line
      for text in try texts(of: entry, name) {
        items.append(Item(name: name, text: text, line: entry.line))
      }
    }
  }

  /// What an entry gives; only what may be repeated takes an array.
  private func texts(of entry: TOMLReader.Entry, _ name: OptionName) throws(Failure) -> [String] {
    func wrong(_ advice: String) -> Failure {
      Failure(.usage, "\(path):\(entry.line): \(entry.key): \(advice)")
    }
    switch (entry.value, name.kind) {
    case (.text(let text), .flag) where text.isEmpty:
      throw wrong("write true or false")
    case (.text(let text), _):
      return [text]
    case (.number(let text), .text):
      throw wrong("write a text, like \"\(text)\"")
    case (.number(let text), .value):
      return [text]
    case (.flag(let isOn), .flag):
      return [isOn ? "true" : "false"]
    case (.list(let values), .list), (.list(let values), .paths):
      return try values.map { value throws(Failure) in
        guard case .text(let text) = value else { throw wrong("write an array of texts") }
        return text
      }
    case (_, .flag): throw wrong("write true or false")
    case (_, .text): throw wrong("write one text, in quotes")
    case (_, .value): throw wrong("write one value, like 8 or \"10GB\"")
    case (_, .list), (_, .paths): throw wrong("write [\"one\", \"another\"]")
    }
  }

  private static func unknown(_ key: String) -> String {
    let shown = PrintableText.oneLine(key)
    if key == "config" { return "a configuration names no other; write all options into one" }
    let written = key.lowercased().map { $0 == "_" ? "-" : $0 }
    let near = OptionName.allCases.map { ($0, EditDistance.of(Array($0.rawValue), written)) }
    if let best = near.min(by: { $0.1 < $1.1 }), best.1 <= 2 {
      return "no such option: '\(shown)'; did you mean '\(best.0.rawValue)'?"
    }
    return "no such option: '\(shown)'; see wdsfs mount --print-config for all"
  }
}

/// How many letters must be added, taken away or changed to make one word of another.
enum EditDistance {
  static func of(_ one: [Character], _ other: [Character]) -> Int {
    // Words this long are no misspelt options.
    guard other.count < 64 else { return Int.max }
    var row = Array(0...other.count)
    for (place, letter) in one.enumerated() {
      var diagonal = row[0]
      row[0] = place + 1
      for (column, against) in other.enumerated() {
        let changed = diagonal + (letter == against ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
      }
    }
    return row[other.count]
  }
}
