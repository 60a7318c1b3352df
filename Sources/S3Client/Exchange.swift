import Remote

/// One request with all its attempts, as the loop drives it: on the loop's thread only.
protocol Exchange: AnyObject {
  /// For messages, for example `bytes 0..<512 of s3://bucket/key`.
  var what: String { get }

  /// The object whose bytes it brings; nil for a listing and the like.
  var objectKey: ObjectKey? { get }

  /// The wanted bytes so far, over all attempts.
  var usefulBytes: Int64 { get }

  /// Makes the next attempt's request; nil where nothing is left to ask for and all is answered.
  func begin() throws(StoreError) -> HTTPRequest?

  /// A reply's head is there, whole; false ends the attempt.
  func received(head: ReplyHead) -> Bool

  /// The next bytes of the body, valid during the call only; nothing is allocated for them.
  func received(body: UnsafeRawBufferPointer) -> ReceiverVerdict

  /// The attempt is over; says what follows.
  func ended(_ end: AttemptEnd) -> AttemptOutcome

  /// No further attempt: the exchange answers whom it owes an answer, once.
  func finish(_ failure: StoreError)

  /// How many replies that make no sense are asked for again; nil: as the policy says.
  var maxBadReplies: Int? { get }

  // MARK: For the log

  /// What it is called when such a reply came.
  var badReplyEvent: String { get }

  /// What it is about.
  var logKeys: [(key: String, value: String)] { get }

  /// The last reply that was no data.
  var note: ReplyNote? { get }

  /// Takes what there is to say since the last call.
  func takeRemarks() -> [Remark]
}

/// How an attempt ended, as the transport saw it.
enum AttemptEnd {
  /// The reply came whole.
  case completed

  /// The exchange itself said so.
  case rejected

  /// Connection broken, in the head or the body.
  case broken(String)

  /// Too slow, or no head in time.
  case stalled(String)

  /// No address for the host's name.
  case unresolved(String)

  /// No connection: refused, no route.
  case noConnection(String)

  /// The peer is not who it should be, TLS is impossible, or a proxy lets nobody through.
  case untrusted(String)

  /// No HTTP, or more head than is allowed.
  case malformed(String)
}

/// What follows an attempt.
enum AttemptOutcome {
  /// Answered.
  case finished

  /// Nothing is left to ask for, but the receiver pauses: `ended` is asked again once it goes on.
  case parked

  /// At once and outside of the retry budget, as after a redirect; the exchange bounds these.
  case again

  /// Once the lesson is learnt, and outside of the retry budget.
  case later(Lesson)

  /// To be retried, if the policy allows it.
  case failed(RetryCause, retryAfter: Duration?, detail: String)

  /// No retry helps.
  case hopeless(StoreError)
}
