package import Instruments

/// A place where shards lie: an S3 bucket, a web server, a directory.
///
/// A store knows how its bytes are got, retries what can be retried, and holds every reply to the
/// size and ETag that the listing gave. It knows nothing of what is in the bytes.
package protocol ObjectStore: AnyObject, Sendable {
  /// What users call the remote, for messages, for example `s3://bucket/prefix`; never a secret.
  var displayName: String { get }

  /// Names the store for the cache: endpoint and bucket, without key or credentials, so that equal
  /// identities mean equal objects.
  var identity: String { get }

  /// Lists every object below the remote, a page at a time, in the store's order.
  ///
  /// Blocks until the last page; not for a thread that answers the kernel.
  func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError)

  /// Starts a range GET and returns at once.
  ///
  /// The receiver gets the bytes in order, from any thread but one at a time, then one `finish`.
  /// What a retry repeats is not seen: the stream goes on where it broke.
  func fetch(_ request: RangeRequest, into receiver: any RangeReceiver) -> any FetchTicket

  /// Counters since the start.
  var statistics: StoreStatistics { get }

  /// How long requests took since the start.
  var requestTimes: RequestTimes { get }

  /// Cancels what is in flight and ends the store's threads.
  func shutDown()
}

extension ObjectStore {
  /// A store that measures nothing has nothing to tell.
  package var requestTimes: RequestTimes { RequestTimes() }
}

/// One range GET: half-open, in bytes from the object's start, within its listed size.
package struct RangeRequest: Sendable {
  package let object: ObjectInfo
  package let range: Range<Int64>
  package let priority: FetchPriority

  package init(object: ObjectInfo, range: Range<Int64>, priority: FetchPriority) {
    self.object = object
    self.range = range
    self.priority = priority
  }
}

/// Who waits for the bytes; what a reader waits for goes first.
package enum FetchPriority: Int, Comparable, Sendable {
  case readAhead
  case reader

  package static func < (left: FetchPriority, right: FetchPriority) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// Takes the bytes of one fetch, on a thread of the store.
package protocol RangeReceiver: AnyObject, Sendable {
  /// The next bytes, valid during the call only. Must not block.
  func receive(_ bytes: UnsafeRawBufferPointer) -> ReceiverVerdict

  /// Called exactly once, after the last `receive`: success means that the whole range came.
  func finish(_ result: Result<Void, StoreError>)
}

/// What a receiver wants next.
package enum ReceiverVerdict: Sendable {
  case more

  /// These bytes were not taken; they come again after `FetchTicket.resume()`.
  case pause

  /// Enough: the fetch ends with `StoreError.cancelled`.
  case stop
}

/// A hold on a fetch under way.
///
/// Every call is harmless once the fetch has finished.
package protocol FetchTicket: AnyObject, Sendable {
  func cancel()

  /// Goes on after `ReceiverVerdict.pause`.
  func resume()

  /// A reader now waits for what was read-ahead.
  func raisePriority()
}

/// What a store did since it was made.
package struct StoreStatistics: Hashable, Sendable {
  package var requests: Int = 0
  package var retries: Int = 0
  package var failures: Int = 0
  package var throttled: Int = 0

  /// Requests sent a second time, for the whole or the rest, because the first one took much longer
  /// than its peers.
  package var hedges: Int = 0
  package var bytesReceived: Int64 = 0
  package var requestsInFlight: Int = 0

  /// What `requestsInFlight` may come to now; 0 where there is no such limit.
  package var requestLimit: Int = 0

  /// By what went wrong; those that were given up before they went out again are counted too.
  package var retriesByReason: [RetryReason: Int] = [:]

  /// How long requests waited altogether because the store had asked for fewer.
  package var heldBackNanoseconds: Int = 0

  /// Whether some wait for that reason now.
  package var isHoldingBack = false

  package init() {}
}

/// Why a request is sent again.
package enum RetryReason: String, CaseIterable, Sendable {
  /// The connection broke.
  case reset

  /// No byte came for too long.
  case stalled

  /// No connection was made.
  case unreachable

  /// The server said that it is sick.
  case server

  /// The server asked for fewer requests.
  case throttled

  /// What came is not what was asked for.
  case badReply = "bad_reply"
}

/// How long requests took that came to their end, from when they were sent.
package struct RequestTimes: Hashable, Sendable {
  package var whole = HistogramValue()

  /// Until the reply's head was there.
  package var firstByte = HistogramValue()

  package init() {}
}
