package import Remote
import Synchronization

/// The sources in the order of the AWS tools; the first that is configured decides.
package final class CredentialChain: Sendable {
  private enum State {
    case unsigned
    case signed(Credentials)
  }

  private let sources: [any CredentialSource]
  private let state: Mutex<State>

  /// Asks the sources; may block.
  ///
  /// - Throws: `StoreError.credentials` where a configured source fails, or none is configured.
  package init(_ sources: [any CredentialSource]) throws(StoreError) {
    self.sources = sources
    state = Mutex(.signed(try Self.first(of: sources)))
  }

  /// Signs nothing: `--no-sign-request`.
  package init() {
    sources = []
    state = Mutex(.unsigned)
  }

  /// What signs the next request, without waiting; nil where none is signed.
  package var current: Credentials? {
    state.withLock { state in
      switch state {
      case .unsigned: nil
      case .signed(let credentials): credentials
      }
    }
  }

  private static func first(
    of sources: [any CredentialSource]
  ) throws(StoreError) -> Credentials {
    for source in sources {
      if let credentials = try source.credentials() { return credentials }
    }
    throw .credentials(
      "no credentials found in \(sources.map(\.name).joined(separator: ", ")); set "
        + "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with --profile, or give "
        + "--no-sign-request for a public bucket"
    )
  }
}
