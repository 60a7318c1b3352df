import Remote
import S3Client
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ContainerSourceTests {
  @Test("a path is asked of ECS's agent, with the token and never through a proxy")
  func relative() throws {
    let services = FakeServices { _ in .session("task") }
    let source = ContainerSource(
      services.context([
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/canary?x=1",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic canary",
      ])
    )
    let found = try source.credentials()
    #expect(found?.accessKeyID == "task" && found?.source == "the container endpoint")
    #expect(found?.expiry == CalendarTime(iso8601: "2030-01-01T00:00:00Z"))
    let request = try #require(services.requests.first)
    #expect(request.url.text == "http://169.254.170.2/v2/credentials/canary?x=1")
    #expect(request.header("authorization") == "Basic canary")
    #expect(!request.mayUseProxy)
  }

  @Test("the token's file counts before the token, and is read anew each time")
  func tokenFile() throws {
    let files = try TemporaryDirectory()
    try files.write("first\n".utf8, to: "token")
    let services = FakeServices { _ in .session("pod") }
    let source = ContainerSource(
      services.context([
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": files.path + "/token",
      ])
    )
    _ = try source.credentials()
    try files.write("second".utf8, to: "token")
    _ = try source.credentials()
    #expect(services.requests.map { $0.header("authorization") } == ["first", "second"])
    try files.remove("token")
    let error = #expect(throws: StoreError.self) { try source.credentials() }
    #expect(error?.description.contains("/token is not there") ?? false)
  }

  @Test(
    "https and the machine's own addresses are asked",
    arguments: [
      "https://example.org/x", "http://127.0.0.1:51679/x", "http://127.9.9.9/", "http://[::1]/x",
      "http://localhost:1/x", "http://169.254.170.2/x", "http://[fd00:ec2::23]/x",
    ]
  )
  func allowed(url: String) throws {
    let services = FakeServices { _ in .session("x") }
    let source = ContainerSource(services.context(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url]))
    #expect(try source.credentials() != nil)
    #expect(services.requests.count == 1)
  }

  @Test(
    "no other host is sent the token (X7)",
    arguments: [
      "http://example.org/x", "http://169.254.169.254/x", "http://127.0.0.1.example.org/",
      "http://localhost.example.org/", "http://127.example.org", "ftp://127.0.0.1/", "x",
      "http://me@127.0.0.1/", "http://[::2]/x",
    ]
  )
  func refused(url: String) {
    let services = FakeServices { _ in .session("x") }
    let source = ContainerSource(services.context(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url]))
    #expect(throws: StoreError.self) { try source.credentials() }
    #expect(services.requests.isEmpty)
  }

  @Test("a path that would lead to another host, and a token of two lines, are refused")
  func smuggled() {
    for variables in [
      ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@example.org/x"],
      ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": ".example.org/x"],
      [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\r\nHost: b",
      ],
    ] {
      let services = FakeServices { _ in .session("x") }
      #expect(throws: StoreError.self) {
        try ContainerSource(services.context(variables)).credentials()
      }
      #expect(services.requests.isEmpty)
    }
  }

  @Test("an endpoint that is ill is asked three times, one that refuses once (S29)")
  func failures() throws {
    func ask(_ reply: CredentialReply?) throws -> (String, Int) {
      let services = FakeServices { (_) throws(CredentialRequestFailure) in
        guard let reply else { throw .noReply("it stalled") }
        return reply
      }
      let source = ContainerSource(
        services.context(["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"])
      )
      let error = #expect(throws: StoreError.self) { try source.credentials() }
      return (error?.description ?? "", services.requests.count)
    }
    #expect(
      try ask(CredentialReply(500, "canary")) == (
        "the container endpoint http://169.254.170.2 answers HTTP 500", 3
      )
    )
    #expect(try ask(CredentialReply(403, "canary")).1 == 1)
    #expect(try ask(nil).0.contains("it stalled"))
    #expect(try ask(CredentialReply(200, "canary")).0.contains("no JSON object"))
    let refused = try ask(CredentialReply(200, #"{"Code": "Denied", "Message": "no"}"#))
    #expect(refused.0.contains("without credentials (Denied: no)"))
  }

  @Test("nothing is asked where the environment names no endpoint")
  func unconfigured() throws {
    let services = FakeServices()
    #expect(try ContainerSource(services.context()).credentials() == nil)
    #expect(services.requests.isEmpty)
  }

  @Test("a real endpoint on loopback is asked over the wire, and times out in time")
  func overTheWire() throws {
    let server = try ScriptedServer { _, request in
      request.path == "/stall"
        ? [.stall]
        : [
          .reply(
            "200 OK",
            body: #"{"AccessKeyId":"wire","SecretAccessKey":"s","Token":"t"}"#.utf8
          )
        ]
    }
    func ask(_ path: String) throws -> Credentials? {
      var context = FakeServices().context([
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + path,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token",
      ])
      context.transport = CredentialRequest.send
      return try ContainerSource(context).credentials()
    }
    #expect(try ask("/creds?a=b")?.accessKeyID == "wire")
    let request = try #require(server.requests.first)
    #expect(request.method == "GET" && request.path == "/creds?a=b")
    #expect(request.headers["authorization"] == "token")
    let start = ContinuousClock.now
    #expect(throws: StoreError.self) { try ask("/stall") }
    #expect(ContinuousClock.now - start < .seconds(60))
  }
}
