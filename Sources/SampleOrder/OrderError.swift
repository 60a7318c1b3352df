/// Why an order could not be made.
package enum OrderError: Error, Hashable, Sendable {
  /// A number that an option or a cursor gives lies outside what is allowed.
  case outOfRange(what: String, value: Int, allowed: ClosedRange<Int>)

  /// The shards together hold more samples than positions can count.
  case tooManySamples(max: Int)

  /// The order depends on the sample counts of these shards, which are not known.
  ///
  /// Never empty. Learn them (exactly) and make the order again; others may be wanted then.
  case countsWanted(shards: [Int])

  /// `--equalize repeat` cannot fill up a rank that holds no sample.
  case nothingToRepeat(rank: Int)

  /// A leg of a cursor does not fit what went before it.
  case badLeg(String)
}

extension OrderError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .outOfRange(let what, let value, let allowed):
      "\(what) is \(value), outside \(allowed.lowerBound) to \(allowed.upperBound)"
    case .tooManySamples(let max):
      "the shards hold more than \(max) samples"
    case .countsWanted(let shards):
      "the order needs the sample counts of \(shards.count) shards, first that of shard "
        + "\(shards.first ?? 0)"
    case .nothingToRepeat(let rank):
      "rank \(rank) holds no sample, so there is nothing to repeat; use --equalize drop, "
        + "or --partition samples"
    case .badLeg(let detail):
      "a leg of the cursor makes no sense: \(detail)"
    }
  }
}
