import Logging
import Remote
import S3Client
import Synchronization

/// Looks whether a remote can be listed and read, as a mount would.
struct RemoteChecks {
  let settings: MountSettings

  func findings() -> [Finding] {
    let begin = ContinuousClock.now
    let listed: ListedRemote
    do throws(Failure) {
      listed = try ListedRemote.list(settings)
    } catch {
      return [.bad(Self.name(of: error), error)]
    }
    defer { listed.store.shutDown() }
    let dataset = listed.dataset
    let bytes = dataset.shards.lazy.map(\.sizeBytes).sum
    var findings: [Finding] = []
    if case .s3 = listed.address {
      let whose = (listed.store as? S3ObjectStore)?.credentialsText
      findings.append(.good("credentials", whose.map { "accepted: \($0)" } ?? "none, as asked"))
    }
    let names = dataset.splits.prefix(5).map(\.name.description).joined(separator: ", ")
    findings.append(
      .good(
        "listing",
        "\(NumberText.counted(dataset.shards.count, "shard")), \(SizeText.bytes(bytes)), in "
          + "\(NumberText.counted(dataset.splits.count, "split")) (\(names)), after "
          + Self.text(begin.duration(to: .now))
      )
    )
    if let shard = dataset.shards.first { findings.append(reading(shard, of: listed)) }
    return findings
  }

  /// The store alone, without a request to it: whether there are credentials at all.
  ///
  /// None is worth a note, since other remotes want none; a source that is configured and fails is bad.
  static func credentials(_ settings: MountSettings) -> Finding {
    let log = Logger(label: "wdsfs") { _ in SwiftLogNoOpLogHandler() }
    do throws(Failure) {
      let address = RemoteAddress.s3(bucket: standIn, prefix: [])
      let store = try StoreWiring.store(at: address, settings, log)
      defer { store.shutDown() }
      let whose = (store as? S3ObjectStore)?.credentialsText ?? "none, as asked"
      return .good("credentials", "\(whose); name a remote to see whether it accepts them")
    } catch {
      guard error.code == .credentials, error.sentence.contains(CredentialProvider.noneFound) else {
        // The user has named no remote.
        let sentence = error.sentence.replacing("s3://\(standIn): ", with: "")
        return .bad("credentials", Failure(error.code, sentence))
      }
      return .note(
        "credentials",
        "none found for S3; local folders, web servers and public buckets need none",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
      )
    }
  }

  private static let standIn = "doctor"

  private static func name(of failure: Failure) -> String {
    switch failure.code {
    case .credentials: "credentials"
    case .unreachable: "endpoint"
    default: "listing"
    }
  }

  // MARK: Reading

  private func reading(_ shard: ObjectInfo, of listed: ListedRemote) -> Finding {
    guard shard.sizeBytes > 0 else {
      return .note("reading", "the first shard is empty: \(shard.key)")
    }
    let begin = ContinuousClock.now
    let receiver = FirstBytes()
    let range = 0..<min(Int64(512), shard.sizeBytes)
    let request = RangeRequest(object: shard, range: range, priority: .reader)
    let ticket = listed.store.fetch(request, into: receiver)
    let result = receiver.wait()
    withExtendedLifetime(ticket) {}
    switch result {
    case .failure(let error):
      return .bad("reading", Failure(error, remote: listed.address.displayName))
    case .success:
      let time = Self.text(begin.duration(to: .now))
      return .good("reading", "the first bytes of \(shard.key) after \(time)")
    }
  }

  private static func text(_ time: Duration) -> String {
    let milliseconds = time / .milliseconds(1)
    if milliseconds < 1000 { return "\(Int(milliseconds.rounded())) ms" }
    return "\((milliseconds / 100).rounded() / 10) s"
  }
}

/// Waits for the end of a short fetch.
private final class FirstBytes: RangeReceiver {
  private let result = Mutex<Result<Void, StoreError>?>(nil)
  private let isOver = ReadySignal()

  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict { .more }

  func finish(_ result: Result<Void, StoreError>) {
    self.result.withLock { $0 = result }
    isOver.signal()
  }

  func wait() -> Result<Void, StoreError> {
    isOver.wait()
    return result.withLock { $0 } ?? .failure(.cancelled)
  }
}
