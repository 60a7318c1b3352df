import Logging
import SampleTree

/// What counts of all options and who said so, as a file that `--config` reads.
struct PrintedSettings {
  let options: GivenOptions
  let settings: MountSettings

  /// One option a line: name, value in TOML, and behind it where the value stands; an option without
  /// a value is a comment.
  ///
  /// - Parameter room: Columns that there are; nil for a file. Remarks that do not fit stand below.
  /// - Returns: The lines.
  func text(room: Int? = nil) -> String {
    let rows = OptionName.allCases.filter { $0 != .config }.map(row)
    let longest = rows.map { $0.setting.count }.max() ?? 0
    let column = min(longest, (room ?? .max) < 100 ? Self.narrowColumn : Self.maxColumn)
    var text = Self.commented(
      "What wdsfs mount is told here, and by whom; a file for --config as it stands.",
      room: room
    )
    for row in rows {
      let line = "\(row.setting.padded(to: column))  # \(row.source)"
      let isTooLong = room.map { line.count > $0 } ?? false
      text +=
        isTooLong ? row.setting + "\n    " + Self.commented(row.source, room: room) : line + "\n"
    }
    return text
  }

  private static func commented(_ words: String, room: Int?) -> String {
    let words = room.map { Terminal.wrapped(words, width: $0 - 3, indent: "# ") } ?? words
    return "# \(words)\n"
  }

  /// Where remarks begin; a longer value pushes its own aside, not those of all others.
  private static let maxColumn = 46
  private static let narrowColumn = 24
  private static let nameColumn = 16

  private func row(_ name: OptionName) -> (setting: String, source: String) {
    let padded = name.rawValue.padded(to: Self.nameColumn)
    let values = options.list(name)
    if let last = values.last {
      return ("\(padded) = \(literal(name, values.map(\.text)))", Self.words(name, last.source))
    }
    switch unsaid(name) {
    case .value(let literal, let source): return ("\(padded) = \(literal)", source)
    case .none(let why): return ("# \(name.rawValue.padded(to: Self.nameColumn - 2)) =", why)
    }
  }

  private static func words(_ name: OptionName, _ source: GivenOptions.Source) -> String {
    switch source {
    case .commandLine: "command line"
    case .mountOptions: "-o"
    case .environment: name.variable
    case .file(let path, let line): PrintableText.oneLine("\(path):\(line)")
    }
  }

  // MARK: What nobody said

  private enum Unsaid {
    case value(_ literal: String, _ source: String)

    /// What then happens.
    case none(String)
  }

  private func unsaid(_ name: OptionName) -> Unsaid {
    switch name {
    case _ where name.kind == .flag: .value("false", "default")
    case .caBundle: .none("not set: AWS_CA_BUNDLE, the machine's own")
    case .endpointURL: .none("not set: AWS_ENDPOINT_URL, the profile's, Amazon's")
    case .region: .none("not set: AWS_REGION, the profile's")
    case .profile: .none("not set: AWS_PROFILE, default")
    case .split: .none("not set: all that are found")
    case .rank: .none("not set: all ranks")
    case .worldSize:
      settings.worldSize.source == WorldSize.defaultSource
        ? .none("default: a cursor's, or 1")
        : .value("\(settings.worldSize.size)", settings.worldSize.source)
    case .names: Self.standard(settings.names.rawValue)
    case .schema: .none("not set: fields are shown as they are")
    case .onDecodeError: Self.standard(settings.onDecodeError.rawValue)
    case .shuffle: .none("default: a cursor's, or none")
    case .seed: .none("default: a cursor's, or 0")
    case .epoch: .none("default: 0")
    case .lanes: .none("default: 8 a rank; with shuffle none 1 a rank")
    case .shuffleWindow: .none("default: a cursor's, or 1")
    case .partition: .none("default: auto")
    case .equalize: .none("not set: ranks end when their samples do")
    case .limit: .none("not set: all samples")
    case .cursor: .none("not set: progress is not kept")
    case .uid: .value("\(settings.uid)", "default: yours")
    case .gid: .value("\(settings.gid)", "default: yours")
    case .cacheDirectory:
      switch settings.cachePlace {
      case .memory: Self.standard("memory")
      case .directory(let path): Self.standard(path)
      }
    case .cacheSize: .none("default: 20% of the free space, at most 100GiB")
    case .prefetch: .none("default: as the reader goes forward")
    case .maxWorkers: .value("\(settings.maxWorkers)", "default")
    case .expectedBucketOwner: .none("not set: whoever owns it")
    case .connectTimeout, .stallTimeout: .none("default: 5s")
    case .bandwidthLimit, .requestLimit: .none("not set: no limit")
    case .ledger: .none("not set: none is written")
    case .metricsAddress: .none("not set: not served")
    case .retryTimeout: Self.standard("\(settings.connections.retryTimeout.components.seconds)s")
    case .maxDecompressed: Self.standard("\(settings.maxDecompressedBytes >> 30)GiB")
    case .logLevel: Self.standard(settings.logLevel.rawValue)
    case .logFile: .none("not set: stderr; in the background journal or syslog")
    default: .none("not set")
    }
  }

  private static func standard(_ text: String) -> Unsaid {
    .value(TOMLText.quoted(text), "default")
  }

  // MARK: Values

  private func literal(_ name: OptionName, _ texts: [String]) -> String {
    let last = texts.last ?? ""
    switch name.kind {
    case .flag:
      return ["1", "true", "yes", "on"].contains(last.lowercased()) ? "true" : "false"
    case .list:
      return TOMLText.list(texts)
    case .paths:
      return TOMLText.list(settings.order.cursorPaths)
    case .value:
      return TOMLText.value(last)
    case .text:
      switch name {
      case .remote: return TOMLText.quoted(settings.remote)
      case .mountpoint: return TOMLText.quoted(settings.mountPoint)
      case .ledger: return TOMLText.quoted(settings.order.ledgerPath ?? last)
      case .logFile: return TOMLText.quoted(settings.logFile ?? last)
      case .endpointURL: return TOMLText.quoted(Self.withoutPassword(last))
      case .cacheDirectory:
        guard case .directory(let path) = settings.cachePlace else { return "\"memory\"" }
        return TOMLText.quoted(path)
      default: return TOMLText.quoted(last)
      }
    }
  }

  /// Of `https://user:password@host` all but the password.
  private static func withoutPassword(_ address: String) -> String {
    guard let at = address.lastIndex(of: "@"), let slashes = address.firstRange(of: "://"),
      slashes.upperBound < at
    else { return address }
    return address[..<slashes.upperBound] + "***" + address[at...]
  }
}

/// Writes values as `TOMLReader` reads them.
enum TOMLText {
  /// A whole number as it is, all else in quotes.
  static func value(_ text: String) -> String {
    guard let number = Int(text), String(number) == text else { return quoted(text) }
    return text
  }

  static func list(_ texts: [String]) -> String {
    "[" + texts.map(quoted).joined(separator: ", ") + "]"
  }

  static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value):
        let digits = String(scalar.value, radix: 16, uppercase: true)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

extension String {
  /// With blanks behind it, to so many letters.
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
