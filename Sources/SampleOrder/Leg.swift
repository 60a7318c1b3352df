/// How far a rank has got: its epoch, and what it has consumed of it.
///
/// Of earlier epochs it has consumed everything, of later ones nothing. Two that have consumed the
/// same are equal, whatever was known of lengths.
package struct Progress: Hashable, Sendable {
  package var epoch: Int
  package var consumed: Consumed

  /// When this was committed, in milliseconds since 1970; nil for a rank whose reads count.
  package var committedAt: Int64?

  /// How many positions the epoch has, where that was known; for people, and no part of the order.
  package var length: Int?

  package init(
    epoch: Int = 0,
    consumed: Consumed = .none,
    committedAt: Int64? = nil,
    length: Int? = nil
  ) {
    self.epoch = epoch
    self.consumed = consumed
    self.committedAt = committedAt
    self.length = length
  }

  package static func == (left: Progress, right: Progress) -> Bool {
    left.epoch == right.epoch && left.consumed == right.consumed
      && left.committedAt == right.committedAt
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(epoch)
    hasher.combine(consumed)
    hasher.combine(committedAt)
  }

  /// What of an epoch is consumed.
  package func consumed(ofEpoch other: Int) -> Consumed {
    if other < epoch { return .all }
    return other == epoch ? consumed : .none
  }
}

/// What was read while the world had one size.
///
/// A leg starts from what the legs before it leave. Where its lanes are theirs, positions are those
/// of the whole epoch, and `Progress` holds the inherited ones too; else they count what was left.
package struct Leg: Hashable, Sendable {
  package let worldSize: Int

  /// The number of lanes during this leg, a multiple of the world size.
  package let lanes: Int

  /// By rank.
  package var ranks: [Progress]

  /// Checks what a cursor says.
  ///
  /// - Throws: `OrderError.outOfRange`, `.badLeg`.
  package init(worldSize: Int, lanes: Int, ranks: [Progress]) throws(OrderError) {
    try OrderParameters.check(worldSize, OrderParameters.allowedWorldSizes, "world size")
    let most = OrderParameters.allowedLanes.upperBound + worldSize
    try OrderParameters.check(lanes, 1...most, "number of lanes")
    guard lanes % worldSize == 0 else {
      throw .badLeg("\(lanes) lanes for \(worldSize) ranks")
    }
    guard ranks.count == worldSize else {
      throw .badLeg("progress of \(ranks.count) ranks at world size \(worldSize)")
    }
    for rank in ranks {
      try OrderParameters.check(rank.epoch, EpochOrder.allowedEpochs, "epoch")
    }
    self.worldSize = worldSize
    self.lanes = lanes
    self.ranks = ranks
  }

  /// A leg in which nothing was read yet.
  package init(_ parameters: OrderParameters, epoch: Int) {
    worldSize = parameters.worldSize
    lanes = parameters.lanes
    ranks = Array(repeating: Progress(epoch: epoch), count: parameters.worldSize)
  }

  /// Whether anything of an epoch was consumed during the leg.
  func touches(epoch: Int) -> Bool {
    ranks.contains { !$0.consumed(ofEpoch: epoch).isEmpty }
  }
}
