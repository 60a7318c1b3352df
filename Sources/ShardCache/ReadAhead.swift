/// What the readers' orders need next, and has not been asked for yet.
///
/// Each stream (a rank's pass) hands down its next byte ranges, nearest first; runs of chunks are
/// taken from the streams in turn, so that no rank starves another.
struct ReadAhead {
  /// A part of a shard that a stream will read.
  struct Span: Equatable {
    var shard: Int32
    var plane: BytePlane
    var planeBytes: Int64
    var chunks: Range<Int32>

    /// What is wanted of the plane, where less than the whole chunks is.
    var bytes: Range<Int64>?

    /// So near that what lies on disk is brought into memory.
    var isNear = false
  }

  private struct Stream {
    let name: Int

    /// As the stream gave it, whatever of it was fetched since.
    var window: [Span]
    var pending: ArraySlice<Span>
  }

  private var streams: [Stream] = []
  private var turn = 0

  /// Whether a window has moved since chunks were last held against it.
  private var hasMoved = false

  var streamCount: Int { streams.count }

  /// How many streams there are, that one included.
  func streamCount(with name: Int) -> Int {
    streams.count + (streams.contains { $0.name == name } ? 0 : 1)
  }

  /// Replaces what a stream will need; an empty list ends it.
  mutating func replace(_ spans: [Span], of name: Int) {
    hasMoved = true
    let spans = spans.filter { !$0.chunks.isEmpty }
    let stream = Stream(name: name, window: spans, pending: spans[...])
    guard let place = streams.firstIndex(where: { $0.name == name }) else {
      if !spans.isEmpty { streams.append(stream) }
      return
    }
    if spans.isEmpty {
      streams.remove(at: place)
    } else {
      streams[place] = stream
    }
  }

  /// The next run of chunks that must be fetched, which stays the next until it is taken.
  ///
  /// - Parameter missing: The first such run within a span; nil where all of it is there.
  /// - Returns: The run; nil where nothing is missing.
  mutating func next(missing: (Span) -> Range<Int32>?) -> Span? {
    for _ in streams.indices {
      turn %= streams.count
      while let span = streams[turn].pending.first {
        if let run = missing(span) {
          // What comes before it was there once, and may be read and gone before there is room.
          let rest = run.lowerBound..<max(run.lowerBound, span.chunks.upperBound)
          streams[turn].pending[streams[turn].pending.startIndex].chunks = rest
          var next = span
          next.chunks = run
          return next
        }
        streams[turn].pending.removeFirst()
      }
      turn += 1
    }
    return nil
  }

  /// Moves on past the run that `next` gave, to the next stream.
  mutating func take(_ run: Span) {
    guard !streams.isEmpty, let span = streams[turn].pending.first else { return }
    let rest = run.chunks.upperBound..<max(run.chunks.upperBound, span.chunks.upperBound)
    streams[turn].pending[streams[turn].pending.startIndex].chunks = rest
    turn += 1
  }

  /// Says which chunks lie in no window; nil where none has moved since this was last asked.
  mutating func staleness() -> ((ChunkID) -> Bool)? {
    guard hasMoved else { return nil }
    hasMoved = false
    var wanted: [Int32: [Span]] = [:]
    for stream in streams {
      for span in stream.window {
        wanted[span.shard, default: []].append(span)
      }
    }
    return { chunk in
      !(wanted[chunk.shard] ?? []).contains { span in
        span.plane == chunk.plane && span.chunks.contains(chunk.number)
      }
    }
  }
}
