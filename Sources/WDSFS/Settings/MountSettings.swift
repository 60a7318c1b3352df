package import Logging
package import SampleTree
package import Schema

/// All that a mount is told, resolved and checked: what the wiring builds from.
package struct MountSettings: Sendable {
  /// As the user wrote it; a local path is absolute.
  package let remote: String

  /// Absolute; `MountPoint` resolves its links.
  package private(set) var mountPoint: String

  /// Where its source is `WorldSize.defaultSource`, that of a cursor counts: see `resuming`.
  package private(set) var worldSize: WorldSize

  /// Which sample stands where, and where progress is kept.
  package let order: OrderSettings

  package let splits: [SplitRule]
  package let names: FieldNames

  /// Which fields are shown decoded, and what becomes of one that cannot be.
  package let schema: [SchemaRule]
  package let onDecodeError: FieldDecoding.ErrorPolicy

  package let cachePlace: CachePlace
  package let cacheSize: CacheSize

  /// Whether somebody named the place, rather than the default.
  package let isCachePlaceChosen: Bool

  /// Nil where the cache decides.
  package let prefetch: Prefetch?

  /// Range GETs at a time.
  package let maxWorkers: Int

  /// Limits and trust of the connections to the remote.
  package let connections: ConnectionSettings

  package let endpointURL: String?
  package let region: String?
  package let profile: String?
  package let isUnsigned: Bool
  package let forcesPathStyle: Bool
  package let isRequesterPaying: Bool

  /// The account that must own the bucket; nil: any.
  package let expectedBucketOwner: String?

  /// Owner of all files.
  package let uid: UInt32
  package let gid: UInt32
  package let allowsOthers: Bool

  package let isStrict: Bool
  package let skipsUnreadable: Bool

  /// Of one compressed shard.
  package let maxDecompressedBytes: Int64

  package let staysInForeground: Bool
  package let keepsCore: Bool

  /// Where metrics are served over HTTP; nil for nowhere.
  package let metricsAddress: ListenAddress?
  package let logLevel: Logger.Level
  package let logFile: String?

  /// What the user should know and did not ask for, once.
  package let warnings: [Warning]

  package struct Warning: Hashable, Sendable {
    package let event: String
    package let text: String
  }

  /// A connection each, and no more than the process may have.
  package static let maxWorkersRange = 1...64

  /// By the format's table of limits.
  package static let defaultMaxDecompressedBytes: Int64 = 64 << 30

  /// - Parameters:
  ///   - remote: The first argument.
  ///   - mountPoint: The second.
  ///   - options: From all their sources.
  ///   - environment: All variables, for world size and default folders.
  ///   - user: Who mounts, and from where.
  /// - Throws: `.usage`, naming the option as it was written; `.cache` where a default has no place.
  package init(
    remote: String,
    mountPoint: String,
    options: GivenOptions,
    environment: [String: String],
    user: MountingUser
  ) throws(Failure) {
    let reader = OptionReader(options: options)
    guard !remote.isEmpty else {
      throw Failure(.usage, "empty remote; write it like s3://bucket/prefix")
    }
    guard !mountPoint.isEmpty else {
      throw Failure(.usage, "empty mountpoint; write it like /mnt/wds")
    }
    self.remote = remote.contains("://") ? remote : user.absolute(remote)
    self.mountPoint = user.absolute(mountPoint)
    worldSize = try WorldSize(options: options, environment: environment)
    order = try OrderSettings(reader, user: user)
    splits = try reader.splits()
    names = try reader.choice(.names, of: FieldNames.self) ?? .key
    schema = try reader.schema(user: user)
    onDecodeError = try reader.choice(.onDecodeError, of: FieldDecoding.ErrorPolicy.self) ?? .eio
    cachePlace = try reader.cachePlace(user: user, environment: environment)
    isCachePlaceChosen = options.value(.cacheDirectory) != nil
    cacheSize = try reader.cacheSize()
    prefetch = try reader.prefetch()
    maxWorkers = try reader.number(.maxWorkers, in: Self.maxWorkersRange) ?? 32
    connections = try ConnectionSettings(reader, user: user)
    endpointURL = try reader.webAddress(.endpointURL)
    region = options.value(.region)?.text
    profile = options.value(.profile)?.text
    isUnsigned = try reader.flag(.noSignRequest)
    forcesPathStyle = try reader.flag(.forcePathStyle)
    isRequesterPaying = try reader.flag(.requesterPays)
    expectedBucketOwner = options.value(.expectedBucketOwner)?.text
    uid = try reader.userNumber(.uid) ?? user.uid
    gid = try reader.userNumber(.gid) ?? user.gid
    allowsOthers = try reader.flag(.allowOther)
    isStrict = try reader.flag(.strict)
    skipsUnreadable = try reader.flag(.skipUnreadable)
    maxDecompressedBytes = try reader.size(.maxDecompressed) ?? Self.defaultMaxDecompressedBytes
    staysInForeground = try reader.flag(.foreground)
    keepsCore = try reader.flag(.core)
    metricsAddress = try reader.listenAddress(.metricsAddress)
    logLevel = try reader.logLevel() ?? .info
    logFile = options.value(.logFile).map { user.absolute($0.text) }
    var warnings: [Warning] = []
    if !options.unknownVariables.isEmpty {
      let names = options.unknownVariables.joined(separator: ", ")
      let text = "no option has this variable: \(names); see wdsfs mount --help"
      warnings.append(Warning(event: "mount.unknown_variable", text: text))
    }
    if let text = worldSize.warning {
      warnings.append(Warning(event: "mount.world_size", text: text))
    }
    self.warnings = warnings
  }

  /// What a command is told that reads a dataset without mounting it.
  package static func withoutMount(
    of remote: String,
    options: GivenOptions,
    environment: [String: String],
    user: MountingUser
  ) throws(Failure) -> MountSettings {
    try MountSettings(
      remote: remote,
      mountPoint: "/",
      options: options,
      environment: environment,
      user: user
    )
  }

  /// What `mount` is told, with remote and mountpoint among the options.
  ///
  /// - Throws: As the initializer; `.usage` too where one of the two is missing.
  static func mount(
    _ options: GivenOptions,
    environment: [String: String],
    user: MountingUser
  ) throws(Failure) -> MountSettings {
    if options.value(.remote) == nil, options.value(.mountpoint) == nil {
      throw Failure(.usage, "no remote is given; see wdsfs --help, and wdsfs mount --help")
    }
    func argument(_ name: OptionName) throws(Failure) -> String {
      if let value = options.value(name) { return value.text }
      // `wdsfs statsu` is a mount without a mountpoint to the parser, and a slip to its writer.
      if let word = options.value(.remote)?.text, word.allSatisfy(\.isLetter) {
        throw Failure(.usage, "no command, and no remote and mountpoint: \(word); see wdsfs --help")
      }
      throw Failure(.usage, "missing expected argument '<\(name)>'; see wdsfs mount --help")
    }
    return try MountSettings(
      remote: argument(.remote),
      mountPoint: argument(.mountpoint),
      options: options,
      environment: environment,
      user: user
    )
  }

  func with(_ worldSize: WorldSize) -> MountSettings {
    var settings = self
    settings.worldSize = worldSize
    return settings
  }

  /// The same, with the mountpoint's links resolved.
  func mounted(at path: String) -> MountSettings {
    var settings = self
    settings.mountPoint = path
    return settings
  }
}

/// Who mounts, and what a relative path is relative to.
package struct MountingUser: Hashable, Sendable {
  package let uid: UInt32
  package let gid: UInt32

  /// Absolute; the daemon leaves it.
  package let workingDirectory: String

  package init(uid: UInt32, gid: UInt32, workingDirectory: String) {
    self.uid = uid
    self.gid = gid
    self.workingDirectory = workingDirectory
  }

  package func absolute(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    return workingDirectory.hasSuffix("/")
      ? workingDirectory + path
      : workingDirectory + "/" + path
  }
}
