import Remote
import S3Client
import Synchronization
import TestSupport
import Testing

/// Which host a bucket is asked at: seen by a proxy, which gets the host's name and says no.
@Suite(.timeLimit(.minutes(10))) struct BucketAddressTests {
  private static let point = "arn:aws:s3:us-west-2:123456789012:accesspoint:mine"

  static func host(
    of bucket: String,
    _ variables: [String: String] = [:],
    change: (inout S3Options) -> Void = { _ in }
  ) throws -> String? {
    let proxy = try ScriptedServer { _, _ in [.reply("403 Forbidden"), .close] }
    let store = try FaultTests.store(proxy, bucket: bucket) { options in
      options.environment["AWS_ENDPOINT_URL"] = nil
      options.environment["AWS_REGION"] = "eu-west-3"
      options.environment.merge(variables) { $1 }
      options.transfers.proxies = ProxySettings(environment: ["ALL_PROXY": proxy.url])
      change(&options)
    }
    defer { store.shutDown() }
    let info = ObjectInfo(key: ObjectKey("x.tar"), sizeBytes: 10, eTag: "\"one\"")
    #expect(throws: StoreError.self) { try store.bytes(0..<5, of: info) }
    return proxy.requests.first?.path
  }

  @Test("Amazon's buckets stand in the host's name, but for names that no certificate covers")
  func amazon() throws {
    #expect(try Self.host(of: "b-1") == "b-1.s3.eu-west-3.amazonaws.com:443")
    #expect(try Self.host(of: "b.1") == "s3.eu-west-3.amazonaws.com:443")
    #expect(try Self.host(of: "b-1") { $0.addressing = .path } == "s3.eu-west-3.amazonaws.com:443")
    #expect(
      try Self.host(of: "b-1", ["AWS_REGION": "cn-north-1"])
        == "b-1.s3.cn-north-1.amazonaws.com.cn:443"
    )
    let url = "https://s3.eu-west-3.amazonaws.com"
    #expect(
      try Self.host(of: "b-1") { $0.endpointURL = url } == "b-1.s3.eu-west-3.amazonaws.com:443"
    )
  }

  @Test("dual-stack and FIPS hosts are used where the environment asks for them")
  func hosts() throws {
    let dual = ["AWS_USE_DUALSTACK_ENDPOINT": "true"]
    let both = dual.merging(["AWS_USE_FIPS_ENDPOINT": "true"]) { $1 }
    #expect(try Self.host(of: "b-1", dual) == "b-1.s3.dualstack.eu-west-3.amazonaws.com:443")
    #expect(try Self.host(of: "b-1", both) == "b-1.s3-fips.dualstack.eu-west-3.amazonaws.com:443")
    #expect(
      try Self.host(of: Self.point, both)
        == "mine-123456789012.s3-accesspoint-fips.dualstack.us-west-2.amazonaws.com:443"
    )
  }

  @Test("a directory bucket is refused at once, but at an endpoint of one's own")
  func directoryBucket() throws {
    let error = #expect(throws: StoreError.self) { try Self.host(of: "b--usw2-az1--x-s3") }
    #expect(error?.description.contains("directory bucket") ?? false)
    let url = "https://store.invalid"
    #expect(
      try Self.host(of: "b--usw2-az1--x-s3") { $0.endpointURL = url } == "store.invalid:443"
    )
  }

  @Test("a configured endpoint can be ignored; one on the command line counts even so")
  func ignoredEndpoint() throws {
    let variables = [
      "AWS_ENDPOINT_URL_S3": "https://elsewhere.invalid",
      "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    ]
    #expect(try Self.host(of: "b-1", variables) == "b-1.s3.eu-west-3.amazonaws.com:443")
    #expect(
      try Self.host(of: "b-1", variables) { $0.endpointURL = "https://here.invalid" }
        == "here.invalid:443"
    )
  }

  @Test("an access point is asked in its own region, and other ARNs are refused with a reason")
  func accessPoints() throws {
    #expect(
      try Self.host(of: Self.point)
        == "mine-123456789012.s3-accesspoint.us-west-2.amazonaws.com:443"
    )
    for text in [
      "arn:aws:s3::123456789012:accesspoint:mine.mrap", "arn:aws:s3:::bucket",
      "arn:aws:s3-outposts:us-west-2:123456789012:outpost:x",
      "arn:aws:s3:us-west-2:12:accesspoint:mine",
    ] {
      #expect(throws: StoreError.self) { try Self.host(of: text) }
    }
    let slash = "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/mine/set/train"
    #expect(
      try RemoteAddress(parsing: slash)
        == .s3(bucket: Self.point, prefix: Array("set/train/".utf8))
    )
  }

  @Test("a store that takes no bucket in the path gets it in the host's name")
  func changedStyle() throws {
    let object = noise(100)
    let hosts = Mutex<[String?]>([])
    let server = try ScriptedServer { _, request in
      hosts.withLock { $0.append(request.headers["host"]) }
      return request.path.contains("/b/x.tar")
        ? [
          .reply(
            "403 Forbidden",
            body: "<Error><Code>SecondLevelDomainForbidden</Code></Error>".utf8
          )
        ] : [.part(of: object, request)]
    }
    let store = try FaultTests.store(server) { options in
      options.endpointURL = "http://store.invalid"
      options.transfers.proxies = ProxySettings(environment: ["ALL_PROXY": server.url])
    }
    defer { store.shutDown() }
    let info = ObjectInfo(key: ObjectKey("x.tar"), sizeBytes: 100, eTag: "\"one\"")
    for _ in 0..<2 { #expect(try store.bytes(0..<5, of: info) == Array(object[..<5])) }
    #expect(
      hosts.withLock { $0 } == ["store.invalid", "b.store.invalid", "b.store.invalid"]
    )
  }
}
