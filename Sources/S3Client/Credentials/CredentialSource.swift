package import Remote

/// One way by which credentials may be had.
///
/// May block, so it is never asked on a thread that transfers.
package protocol CredentialSource: Sendable {
  /// For messages, for example `the environment`.
  var name: String { get }

  /// The credentials as they are now; nil where this source is not configured, so that the next
  /// one is asked.
  ///
  /// - Throws: `StoreError.credentials` where the source is configured and fails: then no other one
  ///   stands in for it.
  func credentials() throws(StoreError) -> Credentials?
}
