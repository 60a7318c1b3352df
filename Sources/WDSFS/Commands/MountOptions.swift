import ArgumentParser

/// Options of one group, which hands on as text what was given: `MountSettings` alone knows what a
/// value means, since it may stand in `-o` and in the environment as well.
protocol OptionsGroup: ParsableArguments {
  var given: [OptionName: [String]] { get }
}

private func one(_ text: String?) -> [String] { text.map { [$0] } ?? [] }

private func flag(_ isGiven: Bool) -> [String] { isGiven ? ["true"] : [] }

struct RemoteOptions: OptionsGroup {
  @Option(help: ArgumentHelp("The S3 endpoint, if not Amazon's.", valueName: "url"))
  var endpointURL: String?

  @Option(help: "The bucket's region.")
  var region: String?

  @Option(help: ArgumentHelp("A profile of the AWS config files.", valueName: "name"))
  var profile: String?

  @Flag(help: "A public bucket: sign nothing, look for no credentials.")
  var noSignRequest = false

  @Flag(help: "The bucket in the path, not in the host's name.")
  var forcePathStyle = false

  @Flag(help: "You pay for the requests, not the bucket's owner.")
  var requesterPays = false

  @Option(help: ArgumentHelp("Refuse a bucket of any other account.", valueName: "account"))
  var expectedBucketOwner: String?

  var given: [OptionName: [String]] {
    [
      .endpointURL: one(endpointURL),
      .region: one(region),
      .profile: one(profile),
      .noSignRequest: flag(noSignRequest),
      .forcePathStyle: flag(forcePathStyle),
      .requesterPays: flag(requesterPays),
      .expectedBucketOwner: one(expectedBucketOwner),
    ]
  }
}

struct ConnectionOptions: OptionsGroup {
  @Option(
    help: ArgumentHelp(
      "Believe the authorities of this PEM file only (default: AWS_CA_BUNDLE, or the machine's).",
      valueName: "file"
    ),
    completion: .file()
  )
  var caBundle: String?

  @Flag(
    name: .customLong("no-verify-ssl"),
    help: "Believe any server: whoever sits between can read and change everything."
  )
  var noVerifySSL = false

  @Option(help: ArgumentHelp("How long a connection may take (default: 5s).", valueName: "time"))
  var connectTimeout: String?

  @Option(
    help: ArgumentHelp(
      "Ask again when a reply brings nothing for so long, its first byte twice (default: 5s).",
      valueName: "time"
    )
  )
  var stallTimeout: String?

  @Option(help: ArgumentHelp("How long one read is retried (default: 60s).", valueName: "time"))
  var retryTimeout: String?

  @Option(
    name: .customLong("bwlimit"),
    help: ArgumentHelp("Never fetch more a second than this: 50MB.", valueName: "size")
  )
  var bandwidthLimit: String?

  @Option(
    name: .customLong("tpslimit"),
    help: ArgumentHelp("Never send more requests a second than this.", valueName: "n")
  )
  var requestLimit: String?

  var given: [OptionName: [String]] {
    [
      .caBundle: one(caBundle),
      .noVerifySSL: flag(noVerifySSL),
      .connectTimeout: one(connectTimeout),
      .stallTimeout: one(stallTimeout),
      .retryTimeout: one(retryTimeout),
      .bandwidthLimit: one(bandwidthLimit),
      .requestLimit: one(requestLimit),
    ]
  }
}

struct TreeOptions: OptionsGroup {
  @Option(
    help: ArgumentHelp(
      "Keep this split only, or make one of the keys that match; may be repeated.",
      valueName: "name[=glob]"
    )
  )
  var split: [String] = []

  @Option(
    help: ArgumentHelp(
      "List 0042.jpg (key) or jpg (field) (default: key).",
      valueName: "key|field"
    ),
    completion: .list(["key", "field"])
  )
  var names: String?

  @Option(
    help: ArgumentHelp(
      """
      Show a field decoded, with + beside the raw one: jpg=npy:224x224, cls=npy, json.gz=raw, \
      msgpack+json, txt=txt, flac=pipe.wav:COMMAND; may be repeated, see docs/schema.md.
      """,
      valueName: "field=format"
    )
  )
  var schema: [String] = []

  @Option(
    help: ArgumentHelp(
      "A field that cannot be decoded: its raw bytes, an error, or not there (default: eio).",
      valueName: "raw|eio|skip"
    ),
    completion: .list(["raw", "eio", "skip"])
  )
  var onDecodeError: String?

  @Option(
    help: ArgumentHelp(
      "Ranks that share the dataset (default: WORLD_SIZE, SLURM_NTASKS, OMPI_COMM_WORLD_SIZE, the cursor's, 1).",
      valueName: "n"
    )
  )
  var worldSize: String?

  @Option(help: ArgumentHelp("Show this rank only.", valueName: "n"))
  var rank: String?

  @Option(help: ArgumentHelp("Owner of the files (default: you).", valueName: "number"))
  var uid: String?

  @Option(help: ArgumentHelp("Group of the files (default: yours).", valueName: "number"))
  var gid: String?

  @Flag(help: "Let other users read the mount.")
  var allowOther = false

  var given: [OptionName: [String]] {
    [
      .split: split,
      .names: one(names),
      .schema: schema,
      .onDecodeError: one(onDecodeError),
      .worldSize: one(worldSize),
      .rank: one(rank),
      .uid: one(uid),
      .gid: one(gid),
      .allowOther: flag(allowOther),
    ]
  }
}

struct OrderOptionsGroup: OptionsGroup {
  @Option(
    help: ArgumentHelp(
      "none: as they lie. shards: shards change places. full: samples as well (default: none).",
      valueName: "none|shards|full"
    ),
    completion: .list(["none", "shards", "full"])
  )
  var shuffle: String?

  @Option(
    help: ArgumentHelp("Another seed, another order (default: 0).", valueName: "n")
  )
  var seed: String?

  @Option(help: ArgumentHelp("The first epoch of a fresh start (default: 0).", valueName: "n"))
  var epoch: String?

  @Option(
    help: ArgumentHelp(
      """
      Shards that all ranks together read side by side: more mix better and want more cache \
      (default: 8 a rank; with none 1 a rank).
      """,
      valueName: "n"
    )
  )
  var lanes: String?

  @Option(
    help: ArgumentHelp(
      "With full: shards of a lane whose samples are mixed among each other (default: 1).",
      valueName: "n"
    )
  )
  var shuffleWindow: String?

  @Option(
    help: ArgumentHelp(
      """
      samples: ranks of equal length; all shards must be counted first. shards: whole shards, \
      starts at once. auto: samples where the bucket states the counts (default: auto).
      """,
      valueName: "auto|samples|shards"
    ),
    completion: .list(["auto", "samples", "shards"])
  )
  var partition: String?

  @Option(
    help: ArgumentHelp(
      "Exactly equal lengths: drop what is over, or repeat to fill up.",
      valueName: "drop|repeat"
    ),
    completion: .list(["drop", "repeat"])
  )
  var equalize: String?

  @Option(
    help: ArgumentHelp("Only the first n samples of each rank, for a first try.", valueName: "n")
  )
  var limit: String?

  @Option(
    help: ArgumentHelp(
      """
      Keep there what was read, and go on from it. Given again: more to start from, the first is \
      written. A directory: all *.cursor in it, HOST@MOUNT.cursor is written.
      """,
      valueName: "file|dir"
    ),
    completion: .file()
  )
  var cursor: [String] = []

  @Option(
    help: ArgumentHelp("One line for each sample served, for wdsfs verify.", valueName: "file"),
    completion: .file()
  )
  var ledger: String?

  var given: [OptionName: [String]] {
    [
      .shuffle: one(shuffle),
      .seed: one(seed),
      .epoch: one(epoch),
      .lanes: one(lanes),
      .shuffleWindow: one(shuffleWindow),
      .partition: one(partition),
      .equalize: one(equalize),
      .limit: one(limit),
      .cursor: cursor,
      .ledger: one(ledger),
    ]
  }
}

struct CacheOptions: OptionsGroup {
  @Option(
    name: .customLong("cache-dir"),
    help: ArgumentHelp(
      "Where what was read is kept (default: /var/cache/wdsfs, or ~/.cache/wdsfs).",
      valueName: "dir|memory"
    ),
    completion: .directory
  )
  var cacheDirectory: String?

  @Option(
    help: ArgumentHelp(
      "Never more than this: 10GB, 512MiB, 20% (default: 20% of the free space, at most 100GiB).",
      valueName: "size"
    )
  )
  var cacheSize: String?

  @Option(
    help: ArgumentHelp("How far to read ahead: 512 samples, or 2GiB.", valueName: "n|size")
  )
  var prefetch: String?

  @Option(help: ArgumentHelp("Range GETs at a time (default: 32).", valueName: "n"))
  var maxWorkers: String?

  var given: [OptionName: [String]] {
    [
      .cacheDirectory: one(cacheDirectory),
      .cacheSize: one(cacheSize),
      .prefetch: one(prefetch),
      .maxWorkers: one(maxWorkers),
    ]
  }
}

struct DamageOptions: OptionsGroup {
  @Flag(help: "A damaged shard fails the mount (exit 7).")
  var strict = false

  @Flag(help: "Leave out shards that cannot be read, instead of failing there.")
  var skipUnreadable = false

  @Option(
    help: ArgumentHelp(
      "The most a compressed shard may decompress to (default: 64GiB).",
      valueName: "size"
    )
  )
  var maxDecompressed: String?

  var given: [OptionName: [String]] {
    [
      .strict: flag(strict),
      .skipUnreadable: flag(skipUnreadable),
      .maxDecompressed: one(maxDecompressed),
    ]
  }
}

struct ProcessOptions: OptionsGroup {
  @Option(
    help: ArgumentHelp(
      "Options in TOML, by the names here: cache-size = \"200GB\".",
      valueName: "file"
    ),
    completion: .file()
  )
  var config: String?

  @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground, log to stderr.")
  var foreground = false

  @Option(
    help: ArgumentHelp(
      "trace, debug, info, notice, warning, error or critical (default: info).",
      valueName: "level"
    ),
    completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"])
  )
  var logLevel: String?

  @Option(
    help: ArgumentHelp("Log there, not to stderr or syslog.", valueName: "file"),
    completion: .file()
  )
  var logFile: String?

  @Option(
    name: .customLong("metrics-addr"),
    help: ArgumentHelp(
      "Serve metrics for Prometheus, and a page for people, over HTTP: 127.0.0.1:9105, [::1]:9105.",
      valueName: "ip:port"
    )
  )
  var metricsAddress: String?

  @Flag(help: "Allow core files, which hold credentials.")
  var core = false

  @Option(
    name: .customShort("o"),
    help: ArgumentHelp(
      "As in fstab: ro, nofail, _netdev, x-*, allow_other, uid=1000, cache_size=10GB; any option.",
      valueName: "name[=value],…"
    )
  )
  var mountOptions: [String] = []

  var given: [OptionName: [String]] {
    [
      .config: one(config),
      .foreground: flag(foreground),
      .logLevel: one(logLevel),
      .logFile: one(logFile),
      .core: flag(core),
      .metricsAddress: one(metricsAddress),
    ]
  }
}
