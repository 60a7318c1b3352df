/// How many samples the shards of a split hold, as far as a run has seen.
///
/// For who resumes it: what lies before the place reached need not be counted again. Kept as runs of
/// neighbours with equal counts, since most shards of a dataset have the same. Two are equal always:
/// what is known of a dataset is no part of the place reached.
package struct KnownCounts: Hashable, Sendable {
  private struct Run {
    var shards: Range<Int>
    var samples: Int
  }

  /// What is beyond is left out, so that a cursor stays small.
  package static let maxRuns = 4096

  private var runs: [Run] = []

  /// None.
  package init() {}

  /// - Parameter counts: By the shard's place in the split; nil where none is known.
  package init(_ counts: some Sequence<Int?>) {
    for (shard, count) in counts.enumerated() {
      guard let count, DatasetShape.allowedSampleCounts.contains(count) else { continue }
      if let last = runs.last, last.shards.upperBound == shard, last.samples == count {
        runs[runs.count - 1].shards = last.shards.lowerBound..<shard + 1
      } else if runs.count < Self.maxRuns {
        runs.append(Run(shards: shard..<shard + 1, samples: count))
      } else {
        return
      }
    }
  }

  /// Of how many shards something is known.
  package var shardCount: Int { runs.reduce(0) { $0 + $1.shards.count } }

  /// Shows each shard's place and count, of the split's first so many shards.
  package func forEach(ofFirst shardCount: Int, _ body: (_ shard: Int, _ samples: Int) -> Void) {
    for run in runs {
      for shard in run.shards.clamped(to: 0..<max(0, shardCount)) { body(shard, run.samples) }
    }
  }

  package static func == (_: KnownCounts, _: KnownCounts) -> Bool { true }

  package func hash(into _: inout Hasher) {}

  // MARK: Text

  /// `FIRST+SHARDS:SAMPLES` for each run.
  var text: String {
    runs.map { "\($0.shards.lowerBound)+\($0.shards.count):\($0.samples)" }.joined(separator: " ")
  }

  /// Nil for what `text` never is.
  init?(_ text: String) {
    for word in text.split(separator: " ") {
      let halves = word.split(separator: ":", omittingEmptySubsequences: false)
      let shards = halves[0].split(separator: "+", omittingEmptySubsequences: false)
      guard runs.count < Self.maxRuns, halves.count == 2, shards.count == 2,
        let first = Int(shards[0]), let count = Int(shards[1]), let samples = Int(halves[1]),
        first >= runs.last?.shards.upperBound ?? 0, count > 0,
        DatasetShape.allowedShardCounts.contains(first),
        DatasetShape.allowedShardCounts.contains(count),
        DatasetShape.allowedSampleCounts.contains(samples)
      else { return nil }
      runs.append(Run(shards: first..<first + count, samples: samples))
    }
  }
}
