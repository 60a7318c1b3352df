import Logging
import SampleOrder
import SampleTree
import Schema
import TestSupport
import Testing
import WDSFS

@Suite struct MountSettingsTests {
  @Test func aBareMountHasTheDefaultsOfTheContract() throws {
    let settings = try parsed([])
    #expect(settings.remote == "s3://b/p")
    #expect(settings.mountPoint == "/some/dir/mnt")
    #expect(settings.worldSize.size == 1)
    #expect(settings.splits.isEmpty)
    #expect(settings.names == .key)
    #expect(settings.cachePlace == .directory("/home/u/.cache/wdsfs"))
    #expect(settings.cacheSize == .automatic)
    #expect(settings.prefetch == nil)
    #expect(settings.maxWorkers == 32)
    #expect(settings.connections.retryTimeout == .seconds(60))
    #expect(settings.maxDecompressedBytes == 64 << 30)
    #expect(settings.uid == 1000)
    #expect(settings.gid == 100)
    #expect(settings.logLevel == .info)
    #expect(settings.endpointURL == nil && settings.region == nil && settings.profile == nil)
    #expect(!settings.isUnsigned && !settings.forcesPathStyle && !settings.allowsOthers)
    #expect(!settings.isStrict && !settings.skipsUnreadable)
    #expect(settings.order.options == OrderOptions())
    #expect(settings.order.firstEpoch == nil && settings.order.lanes == nil)
    #expect(settings.order.cursorPaths.isEmpty && settings.order.ledgerPath == nil)
    #expect(!settings.staysInForeground && !settings.keepsCore && settings.logFile == nil)
    #expect(settings.warnings.isEmpty)
  }

  @Test func everyOptionIsUnderstoodOnTheCommandLine() throws {
    let settings = try parsed([
      "--endpoint-url", "http://h:9000", "--region", "eu-1", "--profile", "p",
      "--no-sign-request", "--force-path-style", "--split", "train", "--split", "val=v-*=.tar",
      "--shuffle", "full", "--seed", "18446744073709551615", "--epoch", "3", "--lanes", "24",
      "--shuffle-window", "2", "--partition", "samples", "--equalize", "drop",
      "--cursor", "a.cursor", "--cursor", "/x/b c.cursor", "--ledger", "t.tsv",
      "--names", "field", "--world-size", "8", "--rank", "7", "--uid", "0", "--gid", "5",
      "--allow-other", "--cache-dir", "c", "--cache-size", "20%", "--prefetch", "2GiB",
      "--max-workers", "64", "--retry-timeout", "2m", "--strict", "--skip-unreadable",
      "--max-decompressed", "1GiB", "-f", "--core", "--log-level", "debug", "--log-file", "l",
    ])
    checkAll(settings)
  }

  @Test func everyOptionIsUnderstoodInTheEnvironment() throws {
    let settings = try parsed(
      [],
      [
        "WDSFS_ENDPOINT_URL": "http://h:9000", "WDSFS_REGION": "eu-1", "WDSFS_PROFILE": "p",
        "WDSFS_NO_SIGN_REQUEST": "1", "WDSFS_FORCE_PATH_STYLE": "yes",
        "WDSFS_SHUFFLE": "full", "WDSFS_SEED": "18446744073709551615", "WDSFS_EPOCH": "3",
        "WDSFS_LANES": "24", "WDSFS_SHUFFLE_WINDOW": "2", "WDSFS_PARTITION": "samples",
        "WDSFS_EQUALIZE": "drop", "WDSFS_CURSOR": "a.cursor:/x/b c.cursor",
        "WDSFS_LEDGER": "t.tsv",
        "WDSFS_SPLIT": "train val=v-*=.tar", "WDSFS_NAMES": "field", "WDSFS_WORLD_SIZE": "8",
        "WDSFS_RANK": "7", "WDSFS_UID": "0", "WDSFS_GID": "5", "WDSFS_ALLOW_OTHER": "true",
        "WDSFS_CACHE_DIR": "c", "WDSFS_CACHE_SIZE": "20%", "WDSFS_PREFETCH": "2GiB",
        "WDSFS_MAX_WORKERS": "64", "WDSFS_RETRY_TIMEOUT": "2m", "WDSFS_STRICT": "on",
        "WDSFS_SKIP_UNREADABLE": "TRUE", "WDSFS_MAX_DECOMPRESSED": "1GiB", "WDSFS_FOREGROUND": "1",
        "WDSFS_CORE": "1", "WDSFS_LOG_LEVEL": "debug", "WDSFS_LOG_FILE": "l",
      ]
    )
    checkAll(settings)
    #expect(settings.warnings.isEmpty)
  }

  @Test func everyOptionIsUnderstoodAfterO() throws {
    let settings = try parsed([
      "-o", "rw,nosuid,_netdev,nofail,x-systemd.automount,endpoint_url=http://h:9000,region=eu-1",
      "-o", "profile=p,no_sign_request,force-path-style,split=train,split=val=v-*=.tar,names=field",
      "-oworld_size=8,rank=7,uid=0,gid=5,allow_other,cache_dir=c,cache_size=20%,prefetch=2GiB",
      "-o", "max_workers=64,retry_timeout=2m,strict,skip_unreadable,max_decompressed=1GiB",
      "-o", "foreground,core,log_level=debug,log_file=l",
      "-o", "shuffle=full,seed=18446744073709551615,epoch=3,lanes=24,shuffle_window=2",
      "-o", "partition=samples,equalize=drop,cursor=a.cursor,cursor=/x/b c.cursor,ledger=t.tsv",
    ])
    checkAll(settings)
  }

  @Test func everyOptionIsUnderstoodInAFile() throws {
    let folder = try TemporaryDirectory()
    let path = try folder.write(
      """
      remote = "s3://b/p"
      mountpoint = "mnt"
      endpoint-url = "http://h:9000"
      region = "eu-1"
      profile = "p"
      no-sign-request = true
      force-path-style = true
      split = ["train", "val=v-*=.tar"]
      names = "field"
      world-size = 8
      rank = 7
      uid = 0
      gid = 5
      allow-other = true
      cache-dir = "c"
      cache-size = "20%"
      prefetch = "2GiB"
      max-workers = 64
      retry-timeout = "2m"
      strict = true
      skip-unreadable = true
      max-decompressed = "1GiB"
      foreground = true
      core = true
      log-level = "debug"
      log-file = "l"
      shuffle = "full"
      seed = "18446744073709551615"
      epoch = 3
      lanes = 24
      shuffle-window = 2
      partition = "samples"
      equalize = "drop"
      cursor = ["a.cursor", "/x/b c.cursor"]
      ledger = "t.tsv"

      """.utf8,
      to: "all.toml"
    )
    checkAll(try parsed([], ["WDSFS_CONFIG": path]))
    checkAll(try parsed(["-o", "config=\(path)"]))
    let alone = try program(["mount", "--config", path]).mountSettings()
    #expect(alone?.remote == "s3://b/p" && alone?.mountPoint == "/some/dir/mnt")
    checkAll(try #require(alone))
  }

  @Test func remoteAndMountpointStandInVariablesToo() throws {
    let environment = ["WDSFS_REMOTE": "s3://v", "WDSFS_MOUNTPOINT": "/v"]
    let none = try #require(try program(["mount"], environment).mountSettings())
    #expect(none.remote == "s3://v" && none.mountPoint == "/v")
    let one = try #require(try program(["mount", "s3://c"], environment).mountSettings())
    #expect(one.remote == "s3://c" && one.mountPoint == "/v")
    #expect(throws: Failure.self) { try parsed(["-o", "remote=s3://c"]) }
  }

  private func checkAll(_ settings: MountSettings) {
    #expect(settings.endpointURL == "http://h:9000")
    #expect(settings.region == "eu-1")
    #expect(settings.profile == "p")
    #expect(settings.isUnsigned && settings.forcesPathStyle)
    #expect(
      settings.splits == [
        SplitRule(name: "train", pattern: nil), SplitRule(name: "val", pattern: "v-*=.tar"),
      ]
    )
    #expect(
      settings.order.options
        == OrderOptions(
          shuffle: .full,
          seed: .max,
          shuffleWindow: 2,
          equalize: .drop,
          partition: .samples
        )
    )
    #expect(settings.order.firstEpoch == 3)
    #expect(settings.order.lanes == 24)
    #expect(settings.order.cursorPaths == ["/some/dir/a.cursor", "/x/b c.cursor"])
    #expect(settings.order.ledgerPath == "/some/dir/t.tsv")
    #expect(settings.names == .field)
    #expect(settings.worldSize.size == 8)
    #expect(settings.worldSize.onlyRank == 7)
    #expect(settings.uid == 0)
    #expect(settings.gid == 5)
    #expect(settings.allowsOthers)
    #expect(settings.cachePlace == .directory("/some/dir/c"))
    #expect(settings.cacheSize == .percent(20))
    #expect(settings.prefetch == .bytes(2 << 30))
    #expect(settings.maxWorkers == 64)
    #expect(settings.connections.retryTimeout == .seconds(120))
    #expect(settings.isStrict && settings.skipsUnreadable)
    #expect(settings.maxDecompressedBytes == 1 << 30)
    #expect(settings.staysInForeground && settings.keepsCore)
    #expect(settings.logLevel == .debug)
    #expect(settings.logFile == "/some/dir/l")
  }

  @Test func connectionsAreLimitedAndTrustedByOptionsAndVariables() throws {
    let texts = [
      "ca-bundle": "ca.pem", "connect-timeout": "2s", "stall-timeout": "500ms",
      "bwlimit": "50MB", "tpslimit": "20", "expected-bucket-owner": "123456789012",
    ]
    let given = texts.flatMap { ["--\($0.key)", $0.value] }
    var variables = ["WDSFS_NO_VERIFY_SSL": "1", "WDSFS_REQUESTER_PAYS": "1"]
    for (name, text) in texts {
      let underscored = String(name.uppercased().map { $0 == "-" ? "_" : $0 })
      variables["WDSFS_" + underscored] = text
    }
    for settings in [
      try parsed(given + ["--no-verify-ssl", "--requester-pays"]), try parsed([], variables),
    ] {
      let connections = settings.connections
      #expect(connections.caBundle == "/some/dir/ca.pem" && !connections.verifiesServers)
      #expect(connections.connectTimeout == .seconds(2))
      #expect(connections.stallTimeout == .milliseconds(500))
      #expect(connections.maxBytesPerSecond == 50_000_000)
      #expect(connections.maxRequestsPerSecond == 20)
      #expect(settings.isRequesterPaying && settings.expectedBucketOwner == "123456789012")
    }
  }

  @Test func metricsAreServedWhereAnAddressSays() throws {
    #expect(try parsed([]).metricsAddress == nil)
    for settings in [
      try parsed(["--metrics-addr", "9105"]), try parsed(["-o", "metrics_addr=127.0.0.1:9105"]),
      try parsed([], ["WDSFS_METRICS_ADDR": "localhost:9105"]),
    ] {
      #expect(settings.metricsAddress == ListenAddress("127.0.0.1:9105"))
    }
    #expect(throws: Failure.self) { try parsed(["--metrics-addr", "somewhere:9105"]) }
  }

  @Test func fieldsAreDecodedByRulesFromAnywhere() throws {
    #expect(try parsed([]).schema.isEmpty)
    #expect(try parsed([]).onDecodeError == .eio)
    for settings in [
      try parsed(["--schema", "jpg=npy:8x8", "--schema", "cls+npy", "--on-decode-error", "skip"]),
      try parsed(["-o", "schema=jpg=npy:8x8,schema=cls+npy,on_decode_error=skip"]),
      try parsed([], ["WDSFS_SCHEMA": "jpg=npy:8x8 cls+npy", "WDSFS_ON_DECODE_ERROR": "skip"]),
    ] {
      #expect(settings.schema.map(\.text) == ["jpg=npy:8x8", "cls+npy"])
      #expect(settings.onDecodeError == .skip)
    }
    let program = try parsed(["--schema", "a=pipe:./prog x", "--schema", "b=pipe:prog ./x"])
    #expect(
      program.schema.map(\.format) == [
        .pipe(words: ["/some/dir/./prog", "x"], name: nil),
        .pipe(words: ["prog", "./x"], name: nil),
      ]
    )
    #expect(throws: Failure.self) { try parsed(["--schema", "a=npy", "--schema", "a=npy"]) }
  }

  @Test func theListOfOptionsIsCovered() throws {
    // One that is added to the list, and not to the tests above, shows here.
    #expect(OptionName.allCases.count == 48)
    for name in OptionName.allCases {
      #expect(OptionName(inMountOptions: name.underscored) == name)
    }
  }

  @Test func variablesGoBeforeTheFile() throws {
    let folder = try TemporaryDirectory()
    let path = try folder.write("prefetch = 1\nsplit = [\"a\", \"b\"]\n".utf8, to: "f.toml")
    let environment = ["WDSFS_CONFIG": path]
    #expect(try parsed([], environment).prefetch == .samples(1))
    #expect(try parsed([], environment).splits.map(\.name) == ["a", "b"])
    let variables = environment.merging(["WDSFS_PREFETCH": "2", "WDSFS_SPLIT": "c"]) { $1 }
    #expect(try parsed([], variables).prefetch == .samples(2))
    #expect(try parsed([], variables).splits.map(\.name) == ["c"])
    #expect(try parsed(["--prefetch", "3"], variables).prefetch == .samples(3))
  }

  @Test func theCommandLineGoesBeforeMountOptionsAndTheseBeforeVariables() throws {
    let environment = ["WDSFS_PREFETCH": "1", "WDSFS_SPLIT": "a", "WDSFS_STRICT": "1"]
    #expect(try parsed([], environment).prefetch == .samples(1))
    #expect(try parsed(["-o", "prefetch=2"], environment).prefetch == .samples(2))
    #expect(
      try parsed(["--prefetch", "3", "-o", "prefetch=2"], environment).prefetch == .samples(3)
    )
    #expect(try parsed(["--split", "b"], environment).splits.map(\.name) == ["b"])
    #expect(try parsed(["-o", "strict=false"], environment).isStrict == false)
    #expect(try parsed(["--prefetch", "3", "--prefetch", "4"]).prefetch == .samples(4))
  }

  @Test(
    "A wrong value ends with code 2, named as it was written",
    arguments: [
      (["--cache-size", "10XB"], "--cache-size: '10XB'"), (["--cache-size", "0%"], "'0%'"),
      (["--cache-size", "101%"], "'101%'"), (["--cache-size", "1.5%"], "'1.5%'"),
      (["--cache-size", "0"], "'0'"), (["--prefetch", "many"], "--prefetch: 'many'"),
      (["--max-workers", "0"], "1 to 64"), (["--max-workers", "65"], "1 to 64"),
      (["--retry-timeout", "0"], "--retry-timeout: '0'"), (["--retry-timeout", "25h"], "'25h'"),
      (["--names", "both"], "key or field"), (["--uid", "4294967295"], "--uid"),
      (["--gid", "staff"], "--gid: 'staff'"), (["--log-level", "loud"], "trace, debug"),
      (["--endpoint-url", "minio:9000"], "https://"), (["--endpoint-url", "http://"], "http"),
      (["--split", "=x"], "--split"), (["--split", ".wdsfs"], "--split"),
      (["--split", "a/b"], "--split"), (["--split", "a="], "--split"),
      (["--max-decompressed", "0"], "--max-decompressed"), (["-o", "nosuch"], "-o nosuch"),
      (["-o", "uid"], "uid=VALUE"), (["-o", "uid=x"], "-o uid: 'x'"),
      (["-o", "strict=maybe"], "-o strict: 'maybe'"), (["--bogus"], "nknown option '--bogus'"),
      (["--cache-dir", ""], "--cache-dir"), (["--shuffle", "all"], "none or shards or full"),
      (["--seed", "-1"], "--seed"), (["--seed", "18446744073709551616"], "2^64"),
      (["--epoch", "-1"], "--epoch"), (["--lanes", "0"], "--lanes"),
      (["--shuffle-window", "0"], "--shuffle-window"),
      (["--partition", "half"], "auto or samples"),
      (["--equalize", "cut"], "drop or repeat"), (["--cursor", ""], "--cursor"),
      (["--ledger", ""], "--ledger"),
    ]
  )
  func wrongValues(_ arguments: [String], _ words: String) throws {
    let failure = try #require(throws: Failure.self) { try parsed(arguments) }
    #expect(failure.code == .usage)
    #expect(failure.sentence.contains(words), "\(failure)")
    #expect(!failure.description.contains("\n"))
  }

  @Test func aWrongVariableIsNamed() throws {
    let failure = try #require(throws: Failure.self) { try parsed([], ["WDSFS_NAMES": "x"]) }
    #expect(failure.sentence.contains("WDSFS_NAMES: 'x'"))
  }

  @Test func unknownVariablesGetOneWarning() throws {
    let settings = try parsed([], ["WDSFS_B": "1", "WDSFS_A": "", "WDSFS_TEST_X": "1", "WDS": "1"])
    #expect(settings.warnings.count == 1)
    #expect(settings.warnings.first?.text.contains("WDSFS_A, WDSFS_B;") == true)
  }

  @Test func theCacheLiesWhereTheUserCanWrite() throws {
    #expect(
      try parsed([], ["XDG_CACHE_HOME": "/x"]).cachePlace == .directory("/x/wdsfs")
    )
    #expect(
      try parsed([], ["XDG_CACHE_HOME": "x"]).cachePlace == .directory("/home/u/.cache/wdsfs")
    )
    #expect(try parsed([], uid: 0).cachePlace == .directory("/var/cache/wdsfs"))
    #expect(try parsed(["--cache-dir", "memory"]).cachePlace == .memory)
    #expect(try parsed(["--cache-dir", "/d"]).cachePlace == .directory("/d"))
    let failure = try #require(throws: Failure.self) { try parsed([], ["HOME": ""]) }
    #expect(failure.code == .cache)
  }

  @Test func aLimitIsForAFirstTry() throws {
    #expect(try parsed(["--limit", "10"]).order.maxRankSamples == 10)
    #expect(try parsed([], ["WDSFS_LIMIT": "10"]).order.maxRankSamples == 10)
    #expect(try parsed(["-o", "limit=10"]).order.maxRankSamples == 10)
    #expect(throws: Failure.self) { try parsed(["--limit", "0"]) }
    let failure = try #require(throws: Failure.self) { try parsed(["--limit=1", "--cursor=a"]) }
    #expect(failure.sentence.hasPrefix("--limit is for a first try"))
  }

  @Test func partitionAutoSaysNothing() throws {
    #expect(try parsed(["--partition", "auto"]).order.options == OrderOptions())
  }

  @Test func aCommaWithinAValueIsEscaped() throws {
    let settings = try parsed(["-o", #"split=t={a\,b}-\*.tar,strict"#])
    #expect(settings.splits == [SplitRule(name: "t", pattern: #"{a,b}-\*.tar"#)])
    #expect(settings.isStrict)
  }

  @Test func withoutTheWordMountItIsAMountAsWell() throws {
    let short = try program(["s3://b/p", "mnt", "--world-size", "3"]).mountSettings()
    #expect(short?.worldSize.size == 3)
    let behind = try program(["--world-size", "3", "s3://b/p", "mnt"]).mountSettings()
    #expect(behind?.worldSize.size == 3)
  }

  @Test func mountCallsItAsAHelper() throws {
    let words = ["s3://b/p", "/m", "-v", "-o", "rw,strict", "-t", "fuse.wdsfs"]
    let program = program(words, name: "/sbin/mount.fuse.wdsfs")
    #expect(try program.mountSettings()?.isStrict == true)
    #expect(Invocation.arguments(of: ["mount.wdsfs", "a", "/m", "-f"]) == nil)
  }

  @Test func aLocalRemoteIsMadeAbsolute() throws {
    #expect(try program(["mount", "data", "m"]).mountSettings()?.remote == "/some/dir/data")
    #expect(try program(["mount", "file:///d", "m"]).mountSettings()?.remote == "file:///d")
    #expect(throws: Failure.self) { try program(["mount", "", "m"]).mountSettings() }
    #expect(throws: Failure.self) { try program(["mount", "a", ""]).mountSettings() }
  }

  // MARK: - The command line, without the process

  private func parsed(
    _ arguments: [String],
    _ environment: [String: String] = [:],
    uid: UInt32 = 1000
  ) throws(Failure) -> MountSettings {
    let program = program(["mount", "s3://b/p", "mnt"] + arguments, environment, uid: uid)
    guard let settings = try program.mountSettings() else {
      throw Failure(.internalError, "this is no mount: \(arguments)")
    }
    return settings
  }

  private func program(
    _ arguments: [String],
    _ environment: [String: String] = [:],
    uid: UInt32 = 1000,
    name: String = "wdsfs"
  ) -> Program {
    Program(
      arguments: [name] + arguments,
      environment: ["HOME": "/home/u"].merging(environment) { _, new in new },
      user: MountingUser(uid: uid, gid: 100, workingDirectory: "/some/dir"),
      status: nil,
      serve: { _, _ in .success }
    )
  }
}
