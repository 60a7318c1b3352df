import Remote
import S3Client
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(10))) struct InstanceSourceTests {
  private static let rolePath = "/latest/meta-data/iam/security-credentials/"

  /// An instance of the second version with a role.
  private static let instance: CredentialTransport = {
    (request) throws(CredentialRequestFailure) -> CredentialReply in
    if request.url.path == "/latest/api/token", request.method == .put {
      return CredentialReply(200, "canary-session")
    }
    guard request.header("x-aws-ec2-metadata-token") == "canary-session" else {
      return CredentialReply(401, "")
    }
    switch request.url.path {
    case rolePath: return CredentialReply(200, "my role\n")
    case rolePath + "my%20role": return .session("instance")
    default: return CredentialReply(404, "")
    }
  }

  @Test("a session is opened, the role found and its credentials taken, never through a proxy")
  func secondVersion() throws {
    let services = FakeServices(Self.instance)
    let found = try InstanceSource(services.context()).credentials()
    #expect(found?.accessKeyID == "instance")
    #expect(found?.source == "the instance metadata service")
    #expect(
      services.requests.map(\.url.server.origin)
        == Array(repeating: "http://169.254.169.254", count: 3)
    )
    #expect(services.requests.allSatisfy { !$0.mayUseProxy && $0.timeout == .seconds(1) })
    #expect(services.requests[0].header("x-aws-ec2-metadata-token-ttl-seconds") == "21600")
  }

  @Test("where it is disabled nobody is asked", arguments: ["true", "True", "TRUE"])
  func disabled(word: String) throws {
    let services = FakeServices(Self.instance)
    let context = services.context(["AWS_EC2_METADATA_DISABLED": word])
    #expect(try InstanceSource(context).credentials() == nil)
    #expect(services.requests.isEmpty)
  }

  @Test("a machine that is no instance, or has no role, has no credentials and no error")
  func noInstance() throws {
    let nobody = FakeServices()
    #expect(try InstanceSource(nobody.context()).credentials() == nil)
    #expect(nobody.requests.count == 1)
    let noRole = FakeServices { request in
      request.method == .put ? CredentialReply(200, "t") : CredentialReply(404, "")
    }
    #expect(try InstanceSource(noRole.context()).credentials() == nil)
    // A hop too far: neither reply arrives.
    let silent = FakeServices { (_) throws(CredentialRequestFailure) in throw .noReply("stalled") }
    #expect(try InstanceSource(silent.context()).credentials() == nil)
    #expect(silent.requests.count == 2)
  }

  @Test("the first version is asked where there are no sessions, unless that is forbidden")
  func firstVersion() throws {
    for status in [403, 404, 405, 0] {
      let services = FakeServices { (request) throws(CredentialRequestFailure) in
        if request.method == .put {
          guard status > 0 else { throw .noReply("the hop limit") }
          return CredentialReply(status, "")
        }
        #expect(request.headers.isEmpty)
        return request.url.path == Self.rolePath ? CredentialReply(200, "r") : .session("old")
      }
      #expect(try InstanceSource(services.context()).credentials()?.accessKeyID == "old")
      let error = #expect(throws: StoreError.self) {
        try InstanceSource(services.context(["AWS_EC2_METADATA_V1_DISABLED": "true"]))
          .credentials()
      }
      #expect(error?.description.contains("hop limit") ?? false)
    }
  }

  @Test("an instance that is ill is told, and no other source stands in (S29)")
  func ill() {
    func failure(_ answer: @escaping CredentialTransport) -> String {
      let services = FakeServices(answer)
      let error = #expect(throws: StoreError.self) {
        try InstanceSource(services.context()).credentials()
      }
      return error?.description ?? ""
    }
    #expect(failure { _ in CredentialReply(400, "") }.contains("HTTP 400"))
    #expect(
      failure { $0.method == .put ? CredentialReply(200, "t") : CredentialReply(401, "") }
        .contains("HTTP 401")
    )
    #expect(
      failure { (request) throws(CredentialRequestFailure) in
        guard request.method == .put else { throw .noReply("it stalled") }
        return CredentialReply(200, "t")
      }
      .contains("it stalled")
    )
    #expect(
      failure { request in
        request.method == .put
          ? CredentialReply(200, "t")
          : request.url.path == Self.rolePath
            ? CredentialReply(200, "r")
            : CredentialReply(200, #"{"Code": "AssumeRoleUnauthorizedAccess", "Message": "m"}"#)
      }
      .contains("AssumeRoleUnauthorizedAccess: m")
    )
  }

  @Test("endpoint, its mode, time-out and attempts are those of the environment")
  func settings() throws {
    func origins(_ variables: [String: String]) throws -> [String] {
      let services = FakeServices(Self.instance)
      _ = try InstanceSource(services.context(variables)).credentials()
      return services.requests.map { $0.url.server.origin }
    }
    #expect(
      try origins(["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:8111/"]).first
        == "http://127.0.0.1:8111"
    )
    #expect(
      try origins(["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"]).first
        == "http://[fd00:ec2::254]"
    )
    #expect(throws: StoreError.self) {
      try origins(["AWS_EC2_METADATA_SERVICE_ENDPOINT": "nonsense"])
    }
    let dead = FakeServices()
    let context = dead.context([
      "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3", "AWS_METADATA_SERVICE_TIMEOUT": "0.5",
    ])
    #expect(try InstanceSource(context).credentials() == nil)
    #expect(dead.requests.count == 3)
    #expect(dead.requests.allSatisfy { $0.timeout <= .milliseconds(500) })
  }
}
