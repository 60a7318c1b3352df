import Remote

/// A service of AWS that we ask, and where it is.
enum AWSService: String, Sendable {
  case s3
  case sts
  case sso
  case ssoOIDC = "sso_oidc"

  /// The endpoint that the user has set for it, if any.
  ///
  /// For the service before that for all, the environment before the profile: "Service-specific
  /// endpoints" of the AWS SDKs and Tools Reference Guide.
  func configuredEndpoint(
    _ environment: [String: String],
    _ profile: ProfileSettings?
  ) -> String? {
    let ignores =
      environment.filled("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
      ?? profile?["ignore_configured_endpoint_urls"]
    if ignores?.lowercased() == "true" { return nil }
    return environment.filled("AWS_ENDPOINT_URL_" + rawValue.uppercased())
      ?? environment.filled("AWS_ENDPOINT_URL")
      ?? profile?.service(rawValue)["endpoint_url"]
      ?? profile?["endpoint_url"]
  }

  /// Where it is: as configured, else its host in a region.
  ///
  /// - Throws: `StoreError.credentials` for a region or an endpoint that makes no sense.
  func server(
    region: String?,
    _ environment: [String: String],
    _ profile: ProfileSettings?
  ) throws(StoreError) -> ServerAddress {
    if let text = configuredEndpoint(environment, profile) {
      do throws(StoreError) {
        return try ServerAddress(endpoint: text)
      } catch {
        throw .credentials("\(error)")
      }
    }
    let variant = HostVariant(environment, profile, for: self)
    if region == nil, !variant.isFIPS, !variant.isDualStack {
      return ServerAddress(isSecure: true, host: "sts.amazonaws.com")
    }
    let region = region ?? "us-east-1"
    guard S3Settings.isRegion(region) else {
      throw .credentials(
        "the region '\(PrintableName.text(region.utf8))' makes no sense; one is, for example, "
          + "us-east-1"
      )
    }
    let partition = AWSPartition(ofRegion: region)
    let domain = variant.isDualStack ? partition.dualStackDomain : partition.domain
    let name =
      switch self {
      case .s3: "s3"
      case .sts: "sts"
      case .sso: "portal.sso"
      case .ssoOIDC: "oidc"
      }
    // The one host whose usual cryptography is that of FIPS, and which has no other name for it.
    let isPlain =
      !variant.isFIPS || self == .sts && region.hasPrefix("us-gov-") && !variant.isDualStack
    let host = "\(name)\(isPlain ? "" : "-fips").\(region).\(domain)"
    return ServerAddress(isSecure: true, host: host)
  }
}
