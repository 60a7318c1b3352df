/// Decides which bytes of a shard are asked for next when nothing but its headers is wanted.
///
/// Where members are small the shard is streamed, in ever larger requests: asking for each header
/// would cost a request's way each time. Over larger members it is jumped. Knows no I/O.
struct WalkSteps {
  /// A body of at least this is jumped over: at 60 MB/s and 20 ms a request, it takes as long to
  /// read 1.2 MB as to ask for what comes after it.
  static let jumpBytes: Int64 = 1_200_000

  /// Enough to tell what a shard is and how large its members are.
  static let firstBytes: Int64 = 64 << 10

  /// What follows a large body: a few small members and the next large one's header.
  static let headerBytes: Int64 = 8 << 10

  /// So much at 60 MB/s that the request's way does not show any more.
  static let maxBytes: Int64 = 64 << 20

  /// Breaking a request off costs its connection; so much that is of no use costs about the same.
  static let maxUselessBytes: Int64 = 8 << 20

  private let objectBytes: Int64
  private var stepBytes = firstBytes
  private var uselessBytes: Int64 = 0

  init(objectBytes: Int64) {
    self.objectBytes = objectBytes
  }

  /// Says what to ask for next.
  ///
  /// - Parameters:
  ///   - wantedOffset: Where the walk goes on, within the object.
  ///   - receivedOffset: Up to where bytes have come.
  /// - Returns: The next request's range; empty at the object's end.
  mutating func next(wantedOffset: Int64, receivedOffset: Int64) -> Range<Int64> {
    if wantedOffset - receivedOffset >= Self.jumpBytes || uselessBytes >= Self.jumpBytes {
      stepBytes = Self.headerBytes
    } else if receivedOffset > 0 {
      stepBytes = min(Self.maxBytes, stepBytes * 16)
    }
    uselessBytes = 0
    return wantedOffset..<wantedOffset + min(stepBytes, objectBytes - wantedOffset)
  }

  /// Notes that the walk, having come so far, wants to go on further ahead.
  ///
  /// - Parameters:
  ///   - wantedOffset: Where it goes on.
  ///   - receivedOffset: Up to where bytes have come.
  ///   - range: Of the request under way.
  /// - Returns: Whether what is left of the request is worth having.
  mutating func isWorthwhile(
    wantedOffset: Int64,
    receivedOffset: Int64,
    range: Range<Int64>
  ) -> Bool {
    let end = min(wantedOffset, range.upperBound)
    guard end - receivedOffset >= Self.jumpBytes else { return true }
    uselessBytes += end - receivedOffset
    return uselessBytes < Self.maxUselessBytes
  }
}
