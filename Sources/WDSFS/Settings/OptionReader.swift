import Logging
import SampleTree
import Schema

/// Turns the text of options into typed values, and says of a wrong one where it stands and how it
/// is written.
struct OptionReader {
  let options: GivenOptions

  func flag(_ name: OptionName) throws(Failure) -> Bool {
    guard let value = options.value(name) else { return false }
    switch value.text.lowercased() {
    case "1", "true", "yes", "on": return true
    case "0", "false", "no", "off": return false
    default: throw wrong(name, value, "is neither yes nor no", "write true or false")
    }
  }

  func number(_ name: OptionName, in range: ClosedRange<Int>) throws(Failure) -> Int? {
    guard let value = options.value(name) else { return nil }
    guard let number = Int(value.text), range.contains(number) else {
      let bounds = "\(range.lowerBound) to \(range.upperBound)"
      throw wrong(name, value, "is not in the range", "write a number from \(bounds)")
    }
    return number
  }

  /// Any whole number of 64 bits.
  func seed() throws(Failure) -> UInt64? {
    guard let value = options.value(.seed) else { return nil }
    guard let seed = UInt64(value.text), value.text.first != "+" else {
      throw wrong(.seed, value, "is no seed", "write a whole number from 0 to 2^64 - 1")
    }
    return seed
  }

  /// As they were written.
  func paths(_ name: OptionName) throws(Failure) -> [String] {
    var paths: [String] = []
    for value in options.list(name) {
      guard !value.text.isEmpty else { throw wrong(name, value, "is empty", "write a file") }
      paths.append(value.text)
    }
    return paths
  }

  func size(_ name: OptionName) throws(Failure) -> Int64? {
    guard let value = options.value(name) else { return nil }
    guard let bytes = Quantity(value.text)?.bytes, bytes > 0 else {
      throw wrong(name, value, "is no size", "write it like 10GB or 512MiB")
    }
    return bytes
  }

  func duration(_ name: OptionName) throws(Failure) -> Duration? {
    guard let value = options.value(name) else { return nil }
    guard let time = Quantity(value.text)?.duration, time > .zero, time <= .seconds(86_400) else {
      throw wrong(name, value, "is no time up to a day", "write it like 60s or 5m")
    }
    return time
  }

  func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ name: OptionName,
    of type: Choice.Type
  ) throws(Failure) -> Choice? {
    guard let value = options.value(name) else { return nil }
    guard let choice = Choice(rawValue: value.text) else {
      let all = Choice.allCases.map(\.rawValue).joined(separator: " or ")
      throw wrong(name, value, "is no choice", "write \(all)")
    }
    return choice
  }

  func webAddress(_ name: OptionName) throws(Failure) -> String? {
    guard let value = options.value(name) else { return nil }
    let scheme = ["http://", "https://"].first { value.text.lowercased().hasPrefix($0) }
    guard let scheme, value.text.count > scheme.count else {
      throw wrong(name, value, "is no web address", "write it like https://host:9000")
    }
    return value.text
  }

  func listenAddress(_ name: OptionName) throws(Failure) -> ListenAddress? {
    guard let value = options.value(name) else { return nil }
    guard let address = ListenAddress(value.text) else {
      throw wrong(name, value, "is no address to listen on", "write it like 127.0.0.1:9105")
    }
    return address
  }

  func userNumber(_ name: OptionName) throws(Failure) -> UInt32? {
    guard let value = options.value(name) else { return nil }
    // The last number means "nobody in particular" to the kernel.
    guard let number = UInt32(value.text), number < UInt32.max else {
      throw wrong(name, value, "is no id", "write the number, see id(1)")
    }
    return number
  }

  func logLevel() throws(Failure) -> Logger.Level? {
    guard let value = options.value(.logLevel) else { return nil }
    if value.text == "warn" { return .warning }
    guard let level = Logger.Level(rawValue: value.text) else {
      let all = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
      throw wrong(.logLevel, value, "is no level", "write one of \(all)")
    }
    return level
  }

  // MARK: - Splits and cache

  func splits() throws(Failure) -> [SplitRule] {
    var rules: [SplitRule] = []
    for value in options.list(.split) {
      let parts = value.text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = parts.first.map(String.init) ?? ""
      let pattern = parts.count > 1 ? String(parts[1]) : nil
      // Names with a dot in front are the mount's own: .wdsfs, .shards.
      guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/"), name.utf8.count <= 255,
        pattern != ""
      else {
        throw wrong(.split, value, "names no split", "write NAME or NAME=GLOB, like val=val-*.tar")
      }
      rules.append(SplitRule(name: name, pattern: pattern))
    }
    return rules
  }

  func schema(user: MountingUser) throws(Failure) -> [SchemaRule] {
    var rules: [SchemaRule] = []
    for value in options.list(.schema) {
      let rule: SchemaRule
      do throws(SchemaError) {
        rule = try SchemaRule(parsing: value.text).locatingProgram { user.absolute($0) }
      } catch {
        let spelling = GivenOptions.spelling(.schema, value.source)
        throw Failure(.usage, "\(spelling): '\(value.text)' \(error)")
      }
      guard !rules.contains(rule) else {
        throw wrong(.schema, value, "is given twice", "write it once")
      }
      rules.append(rule)
    }
    if let last = options.list(.schema).last, rules.count > FieldDecoding.maxRules {
      throw wrong(.schema, last, "is one too many", "write at most \(FieldDecoding.maxRules)")
    }
    return rules
  }

  func cachePlace(
    user: MountingUser,
    environment: [String: String]
  ) throws(Failure) -> CachePlace {
    if let value = options.value(.cacheDirectory) {
      guard !value.text.isEmpty else {
        throw wrong(.cacheDirectory, value, "is empty", "write a directory, or memory")
      }
      return value.text == "memory" ? .memory : .directory(user.absolute(value.text))
    }
    if user.uid == 0 { return .directory("/var/cache/wdsfs") }
    // By the XDG base directory specification, a relative path there is to be ignored.
    if let folder = environment["XDG_CACHE_HOME"], folder.hasPrefix("/") {
      return .directory(folder + "/wdsfs")
    }
    if let home = environment["HOME"], home.hasPrefix("/") {
      return .directory(home + "/.cache/wdsfs")
    }
    throw Failure(
      .cache,
      "no place for the cache: HOME is not set; write --cache-dir DIR or memory"
    )
  }

  func cacheSize() throws(Failure) -> CacheSize {
    guard let value = options.value(.cacheSize) else { return .automatic }
    let quantity = Quantity(value.text)
    if quantity?.unit == "%", let percent = quantity?.times(1), quantity?.isWhole == true,
      (1...100).contains(percent)
    {
      return .percent(Int(percent))
    }
    guard let bytes = quantity?.bytes, bytes > 0 else {
      throw wrong(.cacheSize, value, "is no size", "write it like 10GB, 512MiB or 20%")
    }
    return .bytes(bytes)
  }

  func prefetch() throws(Failure) -> Prefetch? {
    guard let value = options.value(.prefetch) else { return nil }
    let quantity = Quantity(value.text)
    if let quantity, quantity.unit.isEmpty, quantity.isWhole, let count = quantity.times(1) {
      return .samples(Int(count))
    }
    guard let bytes = quantity?.bytes else {
      throw wrong(
        .prefetch,
        value,
        "is neither samples nor bytes",
        "write 512 for samples, 2GiB for bytes"
      )
    }
    return .bytes(bytes)
  }

  private func wrong(
    _ name: OptionName,
    _ value: GivenOptions.Value,
    _ what: String,
    _ advice: String
  ) -> Failure {
    let spelling = GivenOptions.spelling(name, value.source)
    return Failure(.usage, "\(spelling): '\(value.text)' \(what); \(advice)")
  }
}
