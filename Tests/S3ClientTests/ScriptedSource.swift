import Logging
import Remote
import S3Client
import Synchronization

/// A source of credentials that a test answers for.
final class ScriptedSource: CredentialSource {
  let name = "a script"
  private let inquiries = Mutex(0)
  private let script: @Sendable (_ number: Int) throws(StoreError) -> Credentials?

  init(_ script: @escaping @Sendable (_ number: Int) throws(StoreError) -> Credentials?) {
    self.script = script
  }

  /// How often it was asked.
  var count: Int { inquiries.withLock { $0 } }

  func credentials() throws(StoreError) -> Credentials? {
    let number = inquiries.withLock { count in
      defer { count += 1 }
      return count
    }
    return try script(number)
  }

  static func keys(_ name: String, until expiry: CalendarTime? = nil) -> Credentials {
    Credentials(
      accessKeyID: name,
      secretAccessKey: Secret("canary-secret"),
      sessionToken: Secret("canary-token"),
      expiry: expiry,
      source: "a script"
    )
  }
}

/// Log lines, kept.
final class KeptLines: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }

  var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

  private struct Handler: LogHandler {
    let lines: KeptLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let line = "\(event.level) \(event.message) \(event.metadata ?? [:])"
      lines.lines.withLock { $0.append(line) }
    }
  }
}
