/// What the process ends with: the contract's codes, the same for every command.
package enum ExitCode: Int32, CaseIterable, Sendable {
  /// Also: unmounted on request.
  case success = 0

  case internalError = 1

  /// The command line or a variable makes no sense.
  case usage = 2

  /// Credentials are missing, or the store refuses them.
  case credentials = 3

  /// Bucket, prefix or shards are not there.
  case notFound = 4

  /// DNS, connect, TLS, or the deadline.
  case unreachable = 5

  /// No /dev/fuse, or a mountpoint that cannot be used or let go.
  case cannotMount = 6

  /// Bad shards under `--strict`.
  case badShards = 7

  case cursor = 8

  case cache = 9

  /// The unmount had to be forced.
  case forced = 10
}
