/// Who signs the requests.
package struct Credentials: Sendable {
  package let accessKeyID: String
  package let secretAccessKey: Secret
  package let sessionToken: Secret?

  /// When they end; nil where they do not.
  package let expiry: CalendarTime?

  /// Where they come from, for messages, for example `the environment`.
  package let source: String

  package init(
    accessKeyID: String,
    secretAccessKey: Secret,
    sessionToken: Secret?,
    expiry: CalendarTime? = nil,
    source: String
  ) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
    self.expiry = expiry
    self.source = source
  }

  /// Whether both sign alike, whatever is said of their source and end.
  func isSame(as other: Credentials) -> Bool {
    accessKeyID == other.accessKeyID && secretAccessKey == other.secretAccessKey
      && sessionToken == other.sessionToken
  }

  /// For messages, for example `, which end at 2026-01-31T12:00:00Z`; empty where they do not.
  var untilText: String { expiry.map { ", which end at \($0.iso8601)" } ?? "" }
}

/// A text that never shows in a message, a log line or a dump of a value.
package struct Secret: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// The text itself, for the signature alone.
  let revealed: String

  package init(_ text: String) {
    revealed = text
  }

  package var description: String { "***" }
  package var debugDescription: String { "***" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
