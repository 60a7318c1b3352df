import Remote

/// Collects one small fetch whole and hands it on.
///
/// Proof of `@unchecked Sendable`: the store calls a receiver from one thread at a time.
final class ReceivedBytes: RangeReceiver, @unchecked Sendable {
  private var bytes: [UInt8] = []
  private let expectedBytes: Int
  private let completion: @Sendable (Result<[UInt8], StoreError>) -> Void

  /// - Parameters:
  ///   - expectedBytes: The range's length; more than that is not taken.
  ///   - completion: Told once, on a thread of the store.
  init(
    expectedBytes: Int,
    completion: @escaping @Sendable (Result<[UInt8], StoreError>) -> Void
  ) {
    self.expectedBytes = expectedBytes
    self.completion = completion
    bytes.reserveCapacity(expectedBytes)
  }

  func receive(_ more: UnsafeRawBufferPointer) -> ReceiverVerdict {
    guard bytes.count + more.count <= expectedBytes else { return .stop }
    bytes += more
    return .more
  }

  func finish(_ result: Result<Void, StoreError>) {
    completion(result.map { bytes })
  }
}
