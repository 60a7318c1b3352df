/// Why a store could not give what it was asked for.
package enum StoreError: Error, Hashable, Sendable {
  /// No such bucket, directory or host path, named as the user would.
  case noSuchContainer(String)

  /// Names of a pattern that are not there, with the first of them.
  case missingShards(first: String, missingCount: Int, totalCount: Int)

  /// The object was listed and is no longer there.
  case noSuchObject(key: ObjectKey)

  /// The object is not the listed one: another ETag or size.
  case objectChanged(key: ObjectKey, listed: String, found: String)

  /// The store understood and refuses.
  case refused(what: String, code: String, detail: String)

  /// No credentials, or unusable ones.
  case credentials(String)

  /// No usable answer from the endpoint: DNS, connect, TLS, or every attempt within the deadline.
  case unreachable(endpoint: String, detail: String)

  /// Every attempt failed; the detail tells the last failure.
  case exhausted(what: String, attempts: Int, seconds: Double, detail: String)

  /// The store cannot give a part of the object.
  case rangesUnsupported(key: ObjectKey)

  /// What came is not what the protocol allows.
  case badReply(what: String, detail: String)

  /// A listing that would never end, or that cannot be gone on with.
  case endlessListing(what: String, detail: String)

  /// The remote's address or its options make no sense.
  case invalid(String)

  /// A local read failed.
  case file(path: String, errno: Int32)

  /// The caller no longer wanted it.
  case cancelled
}
