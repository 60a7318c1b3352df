/// Every option of `mount`, by its long name, and its two arguments.
///
/// One list for the command line, `-o`, the environment and `--config`: an option that is not here is
/// none.
package enum OptionName: String, CaseIterable, Sendable {
  case remote
  case mountpoint
  case config
  case endpointURL = "endpoint-url"
  case region
  case profile
  case noSignRequest = "no-sign-request"
  case forcePathStyle = "force-path-style"
  case split
  case names
  case schema
  case onDecodeError = "on-decode-error"
  case worldSize = "world-size"
  case rank
  case shuffle
  case seed
  case epoch
  case lanes
  case shuffleWindow = "shuffle-window"
  case partition
  case equalize
  case limit
  case cursor
  case ledger
  case uid
  case gid
  case allowOther = "allow-other"
  case cacheDirectory = "cache-dir"
  case cacheSize = "cache-size"
  case prefetch
  case maxWorkers = "max-workers"
  case requesterPays = "requester-pays"
  case expectedBucketOwner = "expected-bucket-owner"
  case caBundle = "ca-bundle"
  case noVerifySSL = "no-verify-ssl"
  case connectTimeout = "connect-timeout"
  case stallTimeout = "stall-timeout"
  case retryTimeout = "retry-timeout"
  case bandwidthLimit = "bwlimit"
  case requestLimit = "tpslimit"
  case strict
  case skipUnreadable = "skip-unreadable"
  case maxDecompressed = "max-decompressed"
  case foreground
  case core
  case metricsAddress = "metrics-addr"
  case logLevel = "log-level"
  case logFile = "log-file"

  /// How often an option may stand, and whether a value follows it.
  package enum Kind: Sendable {
    case flag

    /// A number, with or without a unit.
    case value

    /// Whatever is no number: a name, an address, a file.
    case text
    case list

    /// A list of files, which in a variable are separated by colons, as in `PATH`.
    case paths
  }

  package var kind: Kind {
    switch self {
    case .noSignRequest, .forcePathStyle, .requesterPays, .noVerifySSL, .allowOther, .strict,
      .skipUnreadable, .foreground, .core:
      .flag
    case .split, .schema:
      .list
    case .cursor:
      .paths
    case .worldSize, .rank, .seed, .epoch, .lanes, .shuffleWindow, .limit, .uid, .gid, .cacheSize,
      .prefetch, .maxWorkers, .expectedBucketOwner, .connectTimeout, .stallTimeout, .retryTimeout,
      .bandwidthLimit, .requestLimit, .maxDecompressed:
      .value
    case .remote, .mountpoint, .config, .endpointURL, .region, .profile, .names, .onDecodeError,
      .shuffle, .partition, .equalize, .ledger, .cacheDirectory, .caBundle, .metricsAddress,
      .logLevel, .logFile:
      .text
    }
  }

  /// Whether it stands on the command line without a name, and in `-o` not at all.
  package var isArgument: Bool { self == .remote || self == .mountpoint }

  /// For example `WDSFS_WORLD_SIZE`.
  package var variable: String { "WDSFS_" + underscored.uppercased() }

  /// As it may stand in `-o`, for example `world_size`.
  package var underscored: String {
    String(rawValue.map { $0 == "-" ? "_" : $0 })
  }

  /// The option that `-o` or a file calls by this name, written with hyphens or underscores.
  package init?(inMountOptions name: String) {
    self.init(rawValue: String(name.map { $0 == "_" ? "-" : $0 }))
  }
}
