import Remote

/// Where a bucket's requests go: a server, and what stands in the path before the key.
struct BucketAddress: Sendable {
  let bucket: String
  let accessPoint: AccessPoint?

  /// Nil: AWS, whose host follows the region.
  let endpoint: ServerAddress?

  /// Which of AWS's hosts.
  let variant: HostVariant

  /// The endpoint without the bucket.
  func server(inRegion region: String) -> ServerAddress {
    if let endpoint { return endpoint }
    let service = (accessPoint == nil ? "s3" : "s3-accesspoint") + (variant.isFIPS ? "-fips" : "")
    let domain = AWSPartition(ofRegion: region).domain
    let host = service + (variant.isDualStack ? ".dualstack" : "") + ".\(region).\(domain)"
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
    let isAmazon = endpoint.map { AWSPartition.domain(ofHost: $0.host) != nil } ?? true
    return accessPoint == nil && !(isAmazon && AccessPoint.isLabel(bucket))
  }
}
