/// How the remote is talked to: whom to believe, how long to wait, how much to take.
package struct ConnectionSettings: Hashable, Sendable {
  /// Absolute; nil: the variable `AWS_CA_BUNDLE` or the machine's own.
  package let caBundle: String?
  package let verifiesServers: Bool

  /// Nil where the store's own defaults hold.
  package let connectTimeout: Duration?

  /// How long a reply may bring nothing.
  package let stallTimeout: Duration?

  /// How long one read is retried.
  package let retryTimeout: Duration

  package let maxBytesPerSecond: Int64?
  package let maxRequestsPerSecond: Int?

  package static let defaultRetryTimeout: Duration = .seconds(60)
  package static let requestRates = 1...1_000_000

  init(_ reader: OptionReader, user: MountingUser) throws(Failure) {
    caBundle = reader.options.value(.caBundle).map { user.absolute($0.text) }
    verifiesServers = try !reader.flag(.noVerifySSL)
    connectTimeout = try reader.duration(.connectTimeout)
    stallTimeout = try reader.duration(.stallTimeout)
    retryTimeout = try reader.duration(.retryTimeout) ?? Self.defaultRetryTimeout
    maxBytesPerSecond = try reader.size(.bandwidthLimit)
    maxRequestsPerSecond = try reader.number(.requestLimit, in: Self.requestRates)
  }
}
