import Remote

/// Where a bucket's requests go: a server, and what stands in the path before the key.
struct BucketAddress: Sendable {
  let bucket: String
  let accessPoint: AccessPoint?

  /// Nil: AWS, whose host follows the region.
  let endpoint: ServerAddress?

  /// IPv6 as well as IPv4, and cryptography that the United States' agencies may use: AWS has hosts
  /// of its own for these.
  let isDualStack: Bool
  let isFIPS: Bool

  /// The endpoint without the bucket.
  func server(inRegion region: String) -> ServerAddress {
    if let endpoint { return endpoint }
    let domain = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
    let service = (accessPoint == nil ? "s3" : "s3-accesspoint") + (isFIPS ? "-fips" : "")
    let host = service + (isDualStack ? ".dualstack" : "") + ".\(region).\(domain)"
    return ServerAddress(isSecure: true, host: host)
  }

  /// The server as the request names it, and the path up to the slash before the key.
  func place(
    inRegion region: String,
    usesPathStyle: Bool
  ) -> (server: ServerAddress, path: String) {
    var server = server(inRegion: region)
    if let accessPoint {
      server.host = "\(accessPoint.name)-\(accessPoint.account).\(server.host)"
    } else if usesPathStyle {
      let name = PercentEncoding.encoded(bucket.utf8, keepingSlash: false)
      return (server, server.basePath + "/" + name + "/")
    } else {
      server.host = "\(bucket).\(server.host)"
    }
    return (server, server.basePath + "/")
  }

  /// What a store is asked in first: AWS by host, where the name can be in one, others by path.
  var prefersPathStyle: Bool {
    let isAmazon = endpoint?.host.hasSuffix(".amazonaws.com") ?? true
    return accessPoint == nil && !(isAmazon && AccessPoint.isLabel(bucket))
  }
}
