import Glibc
import Logging
import Remote
import S3Client

/// From what the user says of the remote to a store and what lies in it.
enum StoreWiring {
  static func address(_ settings: MountSettings) throws(Failure) -> RemoteAddress {
    do throws(StoreError) {
      return try RemoteAddress(parsing: settings.remote)
    } catch {
      throw Failure(error, remote: settings.remote)
    }
  }

  static func store(
    at address: RemoteAddress,
    _ settings: MountSettings,
    _ log: Logger
  ) throws(Failure) -> any ObjectStore {
    do throws(StoreError) {
      switch address {
      case .s3(let bucket, let prefix):
        return try S3ObjectStore(
          bucket: bucket,
          prefix: prefix,
          options: options(settings),
          logger: log
        )
      case .web(let urls, _):
        return try WebObjectStore(
          urls: urls,
          displayName: address.displayName,
          transfers: transfers(settings),
          logger: log
        )
      case .directory(let path):
        return try DirectoryStore(path: path)
      }
    } catch {
      throw Failure(error, remote: address.displayName)
    }
  }

  /// Lists a store; blocks until the last page.
  ///
  /// - Returns: The shards by splits, and the objects beside them that may say something of them.
  static func dataset(
    listing store: any ObjectStore,
    at address: RemoteAddress,
    _ settings: MountSettings
  ) throws(Failure) -> (dataset: Dataset, notes: [ObjectInfo]) {
    do throws(DatasetError) {
      var options: [SplitOption] = []
      for rule in settings.splits {
        let text = rule.pattern.map { "\(rule.name)=\($0)" } ?? rule.name
        options.append(try SplitOption(parsing: text))
      }
      return try Dataset.list(store, at: address, options: options)
    } catch {
      switch error {
      case .store(let error): throw Failure(error, remote: address.displayName)
      case .noShards, .noSuchSplit, .emptySplit: throw Failure(.notFound, "\(error)")
      case .duplicateShard, .unusableName: throw Failure(.usage, "\(error)")
      }
    }
  }

  private static func options(_ settings: MountSettings) -> S3Options {
    var options = S3Options(environment: ProcessEnvironment.variables)
    options.endpointURL = settings.endpointURL
    options.region = settings.region
    options.profile = settings.profile
    options.signsRequests = !settings.isUnsigned
    if settings.forcesPathStyle { options.addressing = .path }
    options.isRequesterPaying = settings.isRequesterPaying
    options.expectedBucketOwner = settings.expectedBucketOwner
    options.transfers = transfers(settings)
    return options
  }

  private static func transfers(_ settings: MountSettings) -> TransferOptions {
    var transfers = TransferOptions()
    transfers.maxConnections = settings.maxWorkers
    transfers.limit(settings.connections, environment: ProcessEnvironment.variables)
    return transfers
  }
}

extension TransferOptions {
  fileprivate mutating func limit(
    _ settings: ConnectionSettings,
    environment: [String: String]
  ) {
    retry.timeout = settings.retryTimeout
    if let time = settings.connectTimeout { connectTimeout = time }
    if let time = settings.stallTimeout {
      stallTime = time
      // The first byte of a reply may take as much longer as by default.
      headTimeout = time * 2
    }
    maxBytesPerSecond = settings.maxBytesPerSecond
    maxRequestsPerSecond = settings.maxRequestsPerSecond
    proxies = ProxySettings(environment: environment)
    let bundle = settings.caBundle ?? environment["AWS_CA_BUNDLE"].flatMap { $0.isEmpty ? nil : $0 }
    if !settings.verifiesServers {
      trust = .anybody
    } else if let bundle {
      trust = .bundle(path: bundle)
    }
  }
}
