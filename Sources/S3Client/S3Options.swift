import Logging
import Remote

/// What the user may say of an S3 remote; what is not said comes from the profile and the
/// environment.
package struct S3Options: Sendable {
  package enum Addressing: Hashable, Sendable {
    /// Path style at an endpoint of one's own, and for names that no host can have.
    case automatic
    case path
    case virtualHost
  }

  package var endpointURL: String?
  package var region: String?
  package var profile: String?
  package var signsRequests = true
  package var addressing = Addressing.automatic

  /// Sends `x-amz-request-payer`: `--requester-pays`.
  package var isRequesterPaying = false

  /// Sends `x-amz-expected-bucket-owner`; an account's number of twelve digits.
  package var expectedBucketOwner: String?
  package var transfers = TransferOptions()

  /// How long a listing may go without a good page; before the mount answers no deadline is longer.
  package var listTimeout: Duration = .seconds(9)

  /// Stands in for the process's own environment.
  package var environment: [String: String]

  package init(environment: [String: String]) {
    self.environment = environment
  }
}

/// Where an S3 remote's requests go, and who signs them.
struct S3Settings: Sendable {
  let address: BucketAddress
  let region: String
  let usesPathStyle: Bool

  /// Whether a store that wants the bucket elsewhere may have its way.
  let mayChangeStyle: Bool
  let credentials: CredentialProvider
  let clock = ServerClock()
  let logger: Logger

  /// Signed with every request, by lower-case names.
  let headers: [(name: String, value: String)]

  /// Of the profile; nil where it names none.
  let caBundle: String?

  /// Reads options, profile and environment, in the order of the AWS tools; may block.
  ///
  /// - Throws: `StoreError.invalid` for an endpoint that is none, `.credentials` for everything
  ///   about profiles, files and keys.
  init(bucket: String, options: S3Options, logger: Logger) throws(StoreError) {
    let environment = options.environment
    let profile: ProfileSettings? =
      options.signsRequests || options.profile != nil
      ? try ProfileSettings(profile: options.profile, environment: environment) : nil
    let endpointURL =
      options.endpointURL ?? AWSService.s3.configuredEndpoint(environment, profile)
      ?? profile?["s3.endpoint_url"]
    let accessPoint = try AccessPoint(bucket)
    var endpoint: ServerAddress?
    if let endpointURL { endpoint = try ServerAddress(endpoint: endpointURL) }
    guard endpoint != nil || !bucket.hasSuffix("--x-s3") else {
      throw .invalid(
        "\(PrintableName.text(bucket.utf8)) is a directory bucket (S3 Express One Zone), whose "
          + "requests want sessions that wdsfs does not open; copy the shards to another bucket"
      )
    }
    address = BucketAddress(
      bucket: bucket,
      accessPoint: accessPoint,
      endpoint: endpoint,
      variant: HostVariant(environment, profile, for: .s3)
    )
    region =
      accessPoint?.region ?? options.region ?? environment.filled("AWS_REGION")
      ?? environment.filled("AWS_DEFAULT_REGION")
      ?? profile?["region"] ?? "us-east-1"
    guard S3Settings.isRegion(region) else {
      let text =
        "the region '\(PrintableName.text(region.utf8))' makes no sense; one is, for example, "
        + "us-east-1"
      // Those of the environment and of AWS's files are no mistake in our command line.
      throw options.region == nil ? .credentials(text) : .invalid(text)
    }
    let style = Self.pathStyle(options, profile)
    usesPathStyle = style ?? address.prefersPathStyle
    mayChangeStyle = style == nil && accessPoint == nil
    caBundle = profile?["ca_bundle"]
    headers = try Self.headers(options)
    self.logger = logger
    if options.signsRequests {
      var context = CredentialContext(environment: environment)
      context.profile = options.profile
      context.region = options.region
      context.logger = logger
      context.clock = clock
      context.trust = options.transfers.trust
      if context.trust == .system, let caBundle { context.trust = .bundle(path: caBundle) }
      credentials = try CredentialProvider(context.sources, clock: clock, logger: logger)
    } else {
      credentials = CredentialProvider()
    }
  }

  private static func headers(
    _ options: S3Options
  ) throws(StoreError) -> [(name: String, value: String)] {
    var headers: [(name: String, value: String)] = []
    if let owner = options.expectedBucketOwner {
      guard AccessPoint.isAccount(owner) else {
        throw .invalid(
          "the expected bucket owner '\(PrintableName.text(owner.utf8))' is no account's number "
            + "of 12 digits"
        )
      }
      headers.append(("x-amz-expected-bucket-owner", owner))
    }
    if options.isRequesterPaying { headers.append(("x-amz-request-payer", "requester")) }
    return headers
  }

  /// Whether a name may become part of a host.
  static func isRegion(_ region: String) -> Bool {
    !region.isEmpty && region.utf8.count <= 64
      && region.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
          || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      }
  }

  /// Whether the bucket stands in the path; nil where nobody says.
  private static func pathStyle(_ options: S3Options, _ profile: ProfileSettings?) -> Bool? {
    switch (options.addressing, profile?["s3.addressing_style"]) {
    case (.path, _), (.automatic, "path"): true
    case (.virtualHost, _), (.automatic, "virtual"): false
    case (.automatic, _): nil
    }
  }
}
