import SampleOrder

/// The order of an epoch made the plain way, of lists of samples, to compare with.
///
/// Shares nothing with the arithmetic but the two permutations, which have tests of their own and a
/// second implementation in `scripts/order.py`.
struct NaiveOrder {
  struct Sample: Hashable, Comparable {
    let shard: Int
    let number: Int

    static func < (left: Sample, right: Sample) -> Bool {
      (left.shard, left.number) < (right.shard, right.number)
    }
  }

  /// By lane: its samples.
  var lanes: [[Sample]]

  /// By shard: the list's permutation.
  var list: [Int]

  init(_ random: RandomShape) {
    let parameters = random.parameters
    list = Array(random.counts.indices)
    if parameters.shuffle != .none {
      list = NaiveRandom.list(list.count, seed: parameters.seed, epoch: random.epoch)
    }
    let laneCount = parameters.lanes
    var slices = [[[Sample]]](repeating: [], count: laneCount)
    switch parameters.partition {
    case .shards:
      for (place, shard) in list.enumerated() {
        let samples = (0..<random.counts[shard]).map { Sample(shard: shard, number: $0) }
        slices[place % laneCount].append(samples)
      }
    case .samples:
      let total = random.counts.reduce(0, +)
      let sizes = (0..<laneCount).map { total / laneCount + ($0 < total % laneCount ? 1 : 0) }
      var (lane, filled) = (0, 0)
      for shard in list {
        var left = (0..<random.counts[shard]).map { Sample(shard: shard, number: $0) }[...]
        repeat {
          while lane + 1 < laneCount, filled == sizes[lane] { (lane, filled) = (lane + 1, 0) }
          let room = sizes[lane] - filled
          // A lane begins with the shard of its first sample; empty shards count from there on.
          if !left.isEmpty || !slices[lane].isEmpty {
            slices[lane].append(Array(left.prefix(room)))
          }
          filled += min(room, left.count)
          left = left.dropFirst(room)
        } while !left.isEmpty
      }
    }
    lanes = slices.enumerated().map { lane, slices in
      guard parameters.shuffle == .full else { return Array(slices.joined()) }
      var result: [Sample] = []
      for (window, first) in stride(
        from: 0,
        to: slices.count,
        by: parameters.shuffleWindow
      ).enumerated() {
        let samples = Array(slices[first...].prefix(parameters.shuffleWindow).joined())
        result += NaiveRandom.window(
          samples.count,
          seed: parameters.seed,
          epoch: random.epoch,
          lane: lane,
          window: window
        ).map { samples[$0] }
      }
      return result
    }
  }

  /// The lanes taken in turn, one sample of each, passing over those that have ended.
  static func rounds(_ lanes: [[Sample]]) -> [Sample] {
    var result: [Sample] = []
    for round in 0..<(lanes.map(\.count).max() ?? 0) {
      for lane in lanes where round < lane.count {
        result.append(lane[round])
      }
    }
    return result
  }

  /// The order of one rank.
  func rank(_ rank: Int, of worldSize: Int) -> [Sample] {
    let own = stride(from: rank, to: lanes.count, by: worldSize)
    return Self.rounds(own.map { lanes[$0] })
  }
}

/// The generator a second time, as `docs/order.md` tells it.
enum NaiveRandom {
  private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

  private static func mix(_ word: UInt64) -> UInt64 {
    let first = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    let second = (first ^ first >> 27) &* 0x94D0_49BB_1331_11EB
    return second ^ second >> 31
  }

  private static func key(_ words: [UInt64]) -> UInt64 {
    words.reduce(0) { mix(($0 ^ $1) &+ step) }
  }

  private static func draw(_ key: UInt64, _ number: UInt64, _ bound: UInt64) -> UInt64 {
    mix(key &+ step &* (number + 1)).multipliedFullWidth(by: bound).high
  }

  static func list(_ count: Int, seed: UInt64, epoch: Int) -> [Int] {
    let key = key([1, seed, UInt64(epoch)])
    var list = Array(0..<count)
    var number: UInt64 = 0
    var last = count - 1
    while last > 0 {
      let other = Int(draw(key, number, UInt64(last) + 1))
      (list[last], list[other]) = (list[other], list[last])
      number += 1
      last -= 1
    }
    return list
  }

  static func window(_ count: Int, seed: UInt64, epoch: Int, lane: Int, window: Int) -> [Int] {
    guard count > 1 else { return Array(0..<count) }
    let key = key([2, seed, UInt64(epoch), UInt64(lane), UInt64(window)])
    var side: UInt64 = 8
    while side * side < count { side += 1 }
    return (0..<count).map { place in
      var word = UInt64(place)
      repeat {
        var (left, right) = (word / side, word % side)
        for round in 0..<8 as Range<UInt64> {
          let drawn = draw(key, round * 4_294_967_296 + right, side)
          (left, right) = (right, (left + drawn) % side)
        }
        word = left * side + right
      } while word >= count
      return Int(word)
    }
  }
}
