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

    /// So near that what lies on disk is brought into memory.
    var isNear = false
  }

  private var pending: [(stream: Int, spans: [Span])] = []
  private var turn = 0

  var isEmpty: Bool { pending.isEmpty }

  /// Replaces what a stream will need; an empty list ends it.
  mutating func replace(_ spans: [Span], of stream: Int) {
    let spans = spans.filter { !$0.chunks.isEmpty }
    if let place = pending.firstIndex(where: { $0.stream == stream }) {
      if spans.isEmpty {
        pending.remove(at: place)
      } else {
        pending[place].spans = spans
      }
    } else if !spans.isEmpty {
      pending.append((stream, spans))
    }
  }

  /// Takes the next run of chunks that must be fetched.
  ///
  /// - Parameter missing: The first such run within a span; nil where all of it is there.
  /// - Returns: The run; nil where nothing is missing.
  mutating func next(missing: (Span) -> Range<Int32>?) -> Span? {
    while !pending.isEmpty {
      turn %= pending.count
      while let span = pending[turn].spans.first {
        guard let run = missing(span) else {
          pending[turn].spans.removeFirst()
          continue
        }
        pending[turn].spans[0].chunks = run.upperBound..<span.chunks.upperBound
        defer { turn += 1 }
        return Span(
          shard: span.shard,
          plane: span.plane,
          planeBytes: span.planeBytes,
          chunks: run,
          isNear: span.isNear
        )
      }
      pending.remove(at: turn)
    }
    return nil
  }

  /// Gives back a run that could not be started, to be taken first at the next try.
  mutating func putBack(_ span: Span) {
    pending.append((Int.min, [span]))
    turn = pending.count - 1
  }
}
