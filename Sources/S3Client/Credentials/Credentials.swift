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
}

/// A text that never shows in a message, a log line or a dump of a value.
package struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
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
