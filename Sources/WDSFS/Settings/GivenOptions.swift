/// What the user said, option by option, and where: command line first, then `-o`, then the
/// environment, then the file of `--config`.
package struct GivenOptions: Sendable {
  /// Where a value stands, so that a message can name it.
  package enum Source: Hashable, Sendable {
    case commandLine
    case mountOptions
    case environment
    case file(path: String, line: Int)

    /// Several values of one option count together where they stand in one place.
    fileprivate func isBeside(_ other: Source) -> Bool {
      if case .file = self, case .file = other { return true }
      return self == other
    }
  }

  package struct Value: Hashable, Sendable {
    package let text: String
    package let source: Source
  }

  private var values: [OptionName: [Value]] = [:]

  /// Variables that begin with `WDSFS_` and are no option, sorted; worth one warning.
  package private(set) var unknownVariables: [String] = []

  /// - Parameters:
  ///   - commandLine: What was parsed there.
  ///   - mountOptions: What followed each `-o`, in order.
  ///   - environment: All variables.
  ///   - readFile: Reads the file that the others name as `--config`, if they do.
  /// - Throws: `.usage` for a mount option that is none, and what `readFile` throws.
  package init(
    commandLine: [OptionName: [String]],
    mountOptions: [String] = [],
    environment: [String: String] = [:],
    readFile: (_ path: String) throws(Failure) -> ConfigFile = ConfigFile.read
  ) throws(Failure) {
    readEnvironment(environment)
    for text in mountOptions {
      for item in try FstabOptions.items(of: text) {
        take(item.name, item.value, .mountOptions)
      }
    }
    for (name, texts) in commandLine {
      for text in texts {
        take(name, text, .commandLine)
      }
    }
    if let path = value(.config)?.text {
      let file = try readFile(path)
      for item in file.items where values[item.name]?.first.map(Self.isInFile) ?? true {
        take(item.name, item.text, .file(path: file.path, line: item.line))
      }
    }
  }

  private static func isInFile(_ value: Value) -> Bool {
    if case .file = value.source { true } else { false }
  }

  /// The value that counts of an option that may stand once.
  package func value(_ name: OptionName) -> Value? { values[name]?.last }

  /// All values of an option that may be repeated, in order.
  package func list(_ name: OptionName) -> [Value] { values[name] ?? [] }

  /// How the user wrote the option, for messages.
  package static func spelling(_ name: OptionName, _ source: Source) -> String {
    switch source {
    case .commandLine: name.isArgument ? "<\(name.rawValue)>" : "--" + name.rawValue
    case .mountOptions: "-o " + name.underscored
    case .environment: name.variable
    case .file(let path, let line): "\(path):\(line): \(name.rawValue)"
    }
  }

  /// A nearer source puts aside all that a farther one gave.
  private mutating func take(_ name: OptionName, _ text: String, _ source: Source) {
    let value = Value(text: text, source: source)
    if let known = values[name], known.first?.source.isBeside(source) == true {
      values[name] = known + [value]
    } else {
      values[name] = [value]
    }
  }

  private static func parts(of text: String, _ kind: OptionName.Kind) -> [String] {
    switch kind {
    case .flag, .value, .text: [text]
    case .list: text.split(whereSeparator: \.isWhitespace).map { String($0) }
    case .paths: text.split(separator: ":").map { String($0) }
    }
  }

  private mutating func readEnvironment(_ environment: [String: String]) {
    var known: Set<String> = []
    for name in OptionName.allCases {
      known.insert(name.variable)
      // An empty variable is how shells and unit files unset one.
      guard let text = environment[name.variable], !text.isEmpty else { continue }
      for part in Self.parts(of: text, name.kind) {
        take(name, part, .environment)
      }
    }
    unknownVariables = environment.keys
      .filter { $0.hasPrefix("WDSFS_") && !$0.hasPrefix("WDSFS_TEST_") && !known.contains($0) }
      .sorted()
  }
}
