import Glibc
import Logging
import Remote
import S3Client
import TestSupport
import Testing

@Suite struct CredentialsTests {
  private let files: TemporaryDirectory

  init() throws {
    files = try TemporaryDirectory()
  }

  /// An environment that names config files of this content.
  private func environment(
    config: String = "",
    credentials: String = "",
    _ more: [String: String] = [:]
  ) throws -> [String: String] {
    try files.write(config.utf8, to: "config")
    try files.write(credentials.utf8, to: "credentials")
    return more.merging([
      "AWS_CONFIG_FILE": files.path + "/config",
      "AWS_SHARED_CREDENTIALS_FILE": files.path + "/credentials",
    ]) { _, new in new }
  }

  private func context(
    _ environment: [String: String],
    profile: String? = nil
  ) -> CredentialContext {
    var context = FakeServices().context(environment)
    context.profile = profile
    return context
  }

  @Test("sections, settings, comments and indented blocks are read as the AWS tools read them")
  func syntax() throws {
    let file = try ProfileFile(
      text: """
        # a comment
        ; another
        [default]
        region = us-west-2   # the region
        [profile  "with space"]
        Region=eu-west-1
        s3 =
          addressing_style = path
          endpoint_url = http://h
        output = a#b
        [sso-session x]
        region = nowhere
        [other]
        region = nowhere
        """,
      path: "p",
      kind: .config
    )
    #expect(
      file.profiles == [
        "default": ["region": "us-west-2"],
        "with space": [
          "region": "eu-west-1", "s3": "", "s3.addressing_style": "path",
          "s3.endpoint_url": "http://h", "output": "a#b",
        ],
      ]
    )
    let credentials = try ProfileFile(text: "[a]\nx=1\r\n[a]\nx=2\n", path: "p", kind: .credentials)
    #expect(credentials.profiles == ["a": ["x": "2"]])
  }

  @Test(
    "a malformed file is told with its line, never with its content",
    arguments: [("[a]\nx=1\ncanary", 3), ("canary=1", 1), ("[a\n", 1), ("[a]\n= canary", 2)]
  )
  func malformed(text: String, line: Int) {
    let error = #expect(throws: StoreError.self) {
      try ProfileFile(text: text, path: "/p", kind: .credentials)
    }
    #expect(error?.description.hasPrefix("/p, line \(line): ") ?? false)
    #expect(!(error?.description.contains("canary") ?? true))
  }

  @Test("the credentials file counts before the config file, a named profile must be in one")
  func profiles() throws {
    let merged = try environment(
      config: "[profile x]\nregion=r\naws_access_key_id=config",
      credentials: "[x]\naws_access_key_id=cred\naws_secret_access_key=s",
      ["AWS_PROFILE": "x"]
    )
    #expect(try ProfileSettings(profile: nil, environment: merged)["region"] == "r")
    let found = try ProfileSource(context(merged)).credentials()
    #expect(found?.accessKeyID == "cred" && found?.source == "the profile 'x'")
    let unknown = try environment(config: "[profile x]\n")
    let error = #expect(throws: StoreError.self) {
      try ProfileSource(context(unknown, profile: "y")).credentials()
    }
    #expect(error?.description.contains("there are: x") ?? false)
    #expect(try ProfileSource(context(unknown)).credentials() == nil)
    #expect(try ProfileSource(context(unknown, profile: "x")).credentials() == nil)
    let half = try environment(credentials: "[default]\naws_access_key_id=a")
    #expect(throws: StoreError.self) {
      try ProfileSource(context(half)).credentials()
    }
  }

  @Test("without HOME, as under systemd, the files are looked for in the user's home")
  func home() throws {
    let error = #expect(throws: StoreError.self) {
      try ProfileSettings(profile: "no such profile", environment: [:])
    }
    let entry = try #require(getpwuid(getuid()))
    let path = String(cString: entry.pointee.pw_dir) + "/.aws/config"
    #expect(error?.description.contains(path) ?? false)
  }

  @Test("the first source that is configured decides, also when it fails")
  func chain() throws {
    let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let keys = EnvironmentSource([
      "AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "",
    ])
    let variables = try environment(
      credentials: "[default]\naws_access_key_id=p\naws_secret_access_key=s"
    )
    let profile = ProfileSource(context(variables))
    let first = try CredentialProvider([keys, profile], logger: quiet).current
    #expect(first?.accessKeyID == "env" && first?.sessionToken == nil)
    let second = try CredentialProvider([EnvironmentSource([:]), profile], logger: quiet).current
    #expect(second?.accessKeyID == "p")
    #expect(CredentialProvider().current == nil)
    let half = EnvironmentSource(["AWS_ACCESS_KEY_ID": "env"])
    #expect(throws: StoreError.self) { try CredentialProvider([half, profile], logger: quiet) }
    let error = #expect(throws: StoreError.self) {
      try CredentialProvider([EnvironmentSource([:])], logger: quiet)
    }
    #expect(error?.description.contains("--no-sign-request") ?? false)
  }

  @Test("a secret shows in no message and no dump")
  func secrets() throws {
    let credentials = Credentials(
      accessKeyID: "a",
      secretAccessKey: Secret("canary"),
      sessionToken: Secret("canary"),
      source: "s"
    )
    var text = "\(credentials)" + String(reflecting: credentials)
    dump(credentials, to: &text)
    #expect(!text.contains("canary") && text.contains("***"))
  }
}

@Suite struct AddressingTests {
  private func request(
    bucket: String,
    _ change: (inout S3Options) -> Void
  ) throws -> ScriptedServer.Request {
    let server = try ScriptedServer { _, request in [.part(of: noise(10), request)] }
    var options = S3Options(environment: [:])
    options.signsRequests = false
    // libcurl resolves every name below localhost to loopback (RFC 6761).
    options.endpointURL = "http://localhost:\(server.port)/base/"
    change(&options)
    let store = try S3ObjectStore(
      bucket: bucket,
      prefix: [],
      options: options,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
    defer { store.shutDown() }
    let object = ObjectInfo(key: ObjectKey("/a//../b"), sizeBytes: 10, eTag: "\"one\"")
    #expect(try store.bytes(2..<5, of: object) == Array(noise(10)[2..<5]))
    return try #require(server.requests.first)
  }

  @Test("path style at an endpoint of one's own, the bucket as host where that is forced")
  func styles() throws {
    let path = try request(bucket: "b.c") { _ in }
    #expect(path.path == "/base/b.c//a//../b")
    #expect(path.headers["host"]?.hasPrefix("localhost:") ?? false)
    let host = try request(bucket: "bucket") { $0.addressing = .virtualHost }
    #expect(host.path == "/base//a//../b")
    #expect(host.headers["host"]?.hasPrefix("bucket.localhost:") ?? false)
  }

  @Test("the profile says how buckets are addressed, unless an option does")
  func profileStyle() throws {
    let files = try TemporaryDirectory()
    try files.write("[default]\ns3 =\n  addressing_style = virtual\n".utf8, to: "config")
    func host(_ change: (inout S3Options) -> Void) throws -> String {
      let made = try request(bucket: "bucket") { options in
        options.profile = "default"
        options.environment = ["AWS_CONFIG_FILE": files.path + "/config"]
        change(&options)
      }
      return try #require(made.headers["host"])
    }
    #expect(try host { _ in }.hasPrefix("bucket.localhost:"))
    #expect(try host { $0.addressing = .path }.hasPrefix("localhost:"))
  }

  @Test(
    "an endpoint or a region that makes no sense is refused",
    arguments: [
      "localhost:9000", "ftp://h", "http://", "http://me:canary@h", "http://h/?x=1", "http://h:0",
    ]
  )
  func refused(endpoint: String) {
    let error = #expect(throws: StoreError.self) {
      _ = try request(bucket: "b") { $0.endpointURL = endpoint }
    }
    #expect(!(error?.description.contains("canary") ?? true))
    #expect(throws: StoreError.self) {
      _ = try request(bucket: "b") { $0.region = "evil.example/" }
    }
  }

  @Test("stores of equal objects are named alike, whatever the region and the prefix")
  func identity() throws {
    func identity(_ region: String, _ endpoint: String?) throws -> String {
      var options = S3Options(environment: [:])
      options.signsRequests = false
      options.region = region
      options.endpointURL = endpoint
      let store = try S3ObjectStore(
        bucket: "b",
        prefix: [],
        options: options,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      )
      defer { store.shutDown() }
      return store.identity
    }
    #expect(try identity("us-east-1", nil) == identity("eu-west-1", nil))
    #expect(try identity("us-east-1", nil) != identity("us-east-1", "https://minio.example.org"))
  }
}
