/// What stands at a position of a rank's order.
package enum Place: Hashable, Sendable {
  /// A sample: the shard's place in the sorted listing and the sample's within the shard.
  case sample(shard: Int, number: Int)

  /// Not decided before it is known whether `shard` has more than `number` samples.
  ///
  /// Names the earliest such question. A number of `Place.exactCount` asks for the shard's exact
  /// count.
  case unknown(shard: Int, number: Int)

  /// The order has ended before this position.
  case end

  /// In `unknown`: no lower bound will do, the shard's exact count is wanted.
  package static let exactCount = Int.max
}

/// A run of one shard's samples that a lane gives.
package struct ShardSlice: Hashable, Sendable {
  package let shard: Int

  /// The first sample number of the lane's slice.
  package let lowerBound: Int

  /// The sample number after the slice's last; nil where the shard's count is not known.
  package let upperBound: Int?

  /// Whether the lane gives the slice's samples in a permuted order, mixed with its window's.
  ///
  /// All slices of such a window are in use until the window is done.
  package let isPermuted: Bool

  /// The number of the sample that the lane gives next from here, unless it is permuted.
  package let next: Int
}
