package import Logging
package import Remote

/// The store over an S3 bucket.
package final class S3ObjectStore: ObjectStore {
  package let displayName: String
  package var identity: String { origin.identity }
  let origin: S3Origin
  private let prefix: [UInt8]
  let loop: TransferLoop
  private let listTimeout: Duration
  private let logger: Logger
  private let container: String

  /// Finds endpoint, region and credentials, and starts the store's thread.
  ///
  /// May block while a source of credentials is asked; the store itself is sent nothing yet.
  ///
  /// - Parameters:
  ///   - bucket: Its name.
  ///   - prefix: What every key below the remote begins with: empty, or ending in a slash.
  ///   - options: What the user says.
  ///   - generator: Makes the jitter of the retries.
  ///   - logger: Gets the events; no secret ever.
  /// - Throws: `StoreError.invalid` and `.credentials`.
  package init(
    bucket: String,
    prefix: [UInt8],
    options: S3Options,
    generator: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
    logger: Logger
  ) throws(StoreError) {
    let settings = try S3Settings(bucket: bucket, options: options, logger: logger)
    origin = S3Origin(bucket: bucket, settings: settings)
    self.prefix = prefix
    container = "s3://\(bucket)"
    displayName = RemoteAddress.s3(bucket: bucket, prefix: prefix).displayName
    listTimeout = options.listTimeout
    self.logger = logger
    var transfers = options.transfers
    if transfers.trust == .system, let path = settings.caBundle {
      transfers.trust = .bundle(path: path)
    }
    try transfers.check(origin.server, logger)
    loop = TransferLoop(
      options: transfers,
      endpoint: origin.endpointName,
      generator: generator,
      logger: logger
    )
  }

  package func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    let listing = BucketListing(
      origin: origin,
      prefix: prefix,
      displayName: displayName,
      loop: loop,
      timeout: listTimeout,
      logger: logger
    )
    try listing.list(onPage: page)
  }

  package func fetch(
    _ request: RangeRequest,
    into receiver: any RangeReceiver
  ) -> any FetchTicket {
    loop.start(
      RangeFetch(request, into: receiver, from: origin, container: container),
      priority: request.priority
    )
  }

  /// Whose credentials sign the requests and until when, for messages; nil where none do.
  package var credentialsText: String? { origin.credentialsText }

  package var statistics: StoreStatistics { loop.statistics }
  package var requestTimes: RequestTimes { loop.requestTimes }

  package func shutDown() {
    loop.shutDown()
  }
}
