/// A part of AWS with domains of its own, told by a region's name.
///
/// As `partitions.json` of botocore lists them.
struct AWSPartition: Hashable, Sendable {
  /// What its hosts end in, for example `amazonaws.com`.
  let domain: String

  /// What those end in that have IPv6 as well; those of S3 excepted.
  let dualStackDomain: String

  private static let largest = AWSPartition("amazonaws.com", "api.aws")

  /// The others, by how the names of their regions begin.
  private static let others: [(prefix: String, partition: AWSPartition)] = [
    ("cn-", AWSPartition("amazonaws.com.cn", "api.amazonwebservices.com.cn")),
    ("eusc-", AWSPartition("amazonaws.eu", "api.amazonwebservices.eu")),
    ("us-iso-", AWSPartition("c2s.ic.gov", "api.aws.ic.gov")),
    ("us-isob-", AWSPartition("sc2s.sgov.gov", "api.aws.scloud")),
    ("eu-isoe-", AWSPartition("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk")),
    ("us-isof-", AWSPartition("csp.hci.ic.gov", "api.aws.hci.ic.gov")),
  ]

  /// The one that a region is in.
  init(ofRegion region: String) {
    self = Self.others.first { region.hasPrefix($0.prefix) }?.partition ?? Self.largest
  }

  private init(_ domain: String, _ dualStackDomain: String) {
    self.domain = domain
    self.dualStackDomain = dualStackDomain
  }

  /// The domain of AWS that a host is in; nil for somebody else's.
  static func domain(ofHost host: String) -> String? {
    ([largest] + others.map(\.partition)).map(\.domain).first { host.hasSuffix("." + $0) }
  }
}

/// Which of the hosts of a service of AWS are asked.
struct HostVariant: Hashable, Sendable {
  /// IPv6 as well as IPv4.
  let isDualStack: Bool

  /// Cryptography that the agencies of the United States may use.
  let isFIPS: Bool

  /// Reads `use_dualstack_endpoint` and `use_fips_endpoint`, the environment's before the profile's.
  ///
  /// - Parameters:
  ///   - environment: Has them as `AWS_USE_...`.
  ///   - profile: May have them in the service's block as well.
  ///   - service: Who is asked.
  init(_ environment: [String: String], _ profile: ProfileSettings?, for service: AWSService) {
    func flag(_ name: String) -> Bool {
      let text =
        environment.filled("AWS_" + name.uppercased())
        ?? profile?[name] ?? profile?["\(service.rawValue).\(name)"]
      return text?.lowercased() == "true"
    }
    isDualStack = flag("use_dualstack_endpoint")
    isFIPS = flag("use_fips_endpoint")
  }
}
