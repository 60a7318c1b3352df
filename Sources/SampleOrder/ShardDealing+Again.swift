extension ShardDealing {
  /// Deals the shards with something left to other lanes.
  ///
  /// A shard is gone once it was begun and nothing of it is left; one that was not begun is dealt
  /// whether or not it turns out to be empty, so that the dealing never depends on what is known.
  ///
  /// - Parameters:
  ///   - dealing: As it was.
  ///   - taken: What was consumed of its lanes.
  ///   - laneCount: How many lanes there are from now on.
  /// - Throws: `OrderError.countsWanted`.
  init(
    _ dealing: ShardDealing,
    without taken: LaneTaken,
    laneCount: Int
  ) throws(OrderError) {
    var removal = Removal()
    for lane in 0..<dealing.laneCount where !taken[lane].isEmpty {
      dealing.remove(taken[lane], ofLane: lane, into: &removal)
    }
    guard removal.wanted.isEmpty else { throw .countsWanted(shards: removal.wanted.sorted()) }
    var kept = dealing.fresh?.kept ?? [:]
    for (shard, ranges) in removal.ranges {
      let before = kept[shard] ?? KeptRanges(ranges: [0..<dealing.shape[shard].lowerBound])
      kept[shard] = before.removing(ranges.merged())
    }
    for (shard, left) in kept where left.count == 0 {
      removal.gone.insert(shard)
    }
    for shard in removal.gone {
      kept[shard] = nil
    }
    let shards = dealing.shards.filter { !removal.gone.contains(Int($0)) }
    self.init(
      shards: shards,
      laneCount: laneCount,
      windows: dealing.windows,
      shuffleWindow: dealing.shuffleWindow,
      shape: dealing.shape,
      fresh: FreshDealing(
        places: dealing.fresh?.places ?? dealing.places,
        laneCount: dealing.fresh?.laneCount ?? dealing.laneCount,
        kept: kept
      )
    )
  }

  /// What lanes' consumed ranges mean for their shards.
  private struct Removal {
    /// By shard: ranges of what it had left, in its own order.
    var ranges: [Int: [Range<Int>]] = [:]

    /// Shards of which nothing is left, whatever they hold.
    var gone: Set<Int> = []

    /// Shards whose counts must be known first.
    var wanted: Set<Int> = []
  }

  private func remove(_ ranges: [Range<Int>], ofLane lane: Int, into removal: inout Removal) {
    if ranges == [0..<Int.max] {
      for place in 0..<shardCount(ofLane: lane) {
        removal.gone.insert(shard(place, ofLane: lane))
      }
      return
    }
    let counts = self.lane(lane)
    let reach = ranges.last?.upperBound ?? 0
    let wanted = shardsWanted(ofLane: lane, upTo: reach)
    guard wanted.isEmpty else {
      removal.wanted.formUnion(wanted)
      return
    }
    let end = counts.starts[counts.countedShards]
    for range in ranges {
      var offset = range.lowerBound
      let upper = min(range.upperBound, end)
      while offset < upper {
        if windows != nil, fresh == nil, shuffleWindow > 1 {
          offset = removeFromWindow(offset..<upper, ofLane: lane, counts, into: &removal)
        } else {
          let (place, inShard) = counts.shard(at: offset)
          let count = min(upper, counts.starts[place + 1]) - offset
          let shard = shard(place, ofLane: lane)
          removal.ranges[shard, default: []].append(inShard..<inShard + count)
          offset += count
        }
      }
    }
  }

  /// Takes what a window of several shards gave out of each of them, in the shards' own orders.
  ///
  /// - Returns: The offset at which the window ends, or the range.
  private func removeFromWindow(
    _ range: Range<Int>,
    ofLane lane: Int,
    _ counts: ShardLane,
    into removal: inout Removal
  ) -> Int {
    let (place, _) = counts.shard(at: range.lowerBound)
    let window = place / shuffleWindow
    let first = window * shuffleWindow
    let start = counts.starts[first]
    let end = counts.starts[min(first + shuffleWindow, counts.shardCount)]
    let generator = generator(lane: lane, window: window)
    let upper = min(range.upperBound, end)
    for offset in range.lowerBound..<upper {
      let element = Shuffle.element(at: offset - start, of: end - start, by: generator)
      let (place, number) = counts.shard(at: start + element)
      let count = counts.count(at: place).lowerBound
      let own = Shuffle.place(of: number, of: count, by: generator)
      removal.ranges[shard(place, ofLane: lane), default: []].append(own..<own + 1)
    }
    return upper
  }

  /// The shards of a lane whose counts are wanted to know what its samples below `offset` are.
  ///
  /// Empty if all are known. Reckons by the mean of those that are known, so that few rounds of
  /// asking lead there.
  func shardsWanted(ofLane lane: Int, upTo offset: Int) -> [Int] {
    let counts = self.lane(lane)
    var known = counts.countedShards
    if windows != nil, fresh == nil {
      let (place, _) = counts.shard(at: max(0, min(offset, counts.starts[known]) - 1))
      let end = min((place / shuffleWindow + 1) * shuffleWindow, counts.shardCount)
      if counts.starts[known] >= offset, end <= known { return [] }
    } else if counts.starts[known] >= offset {
      return []
    }
    guard known < counts.shardCount else { return [] }
    let lacking = max(1, offset - counts.starts[known])
    let mean = known == 0 ? 0 : counts.starts[known] / known
    let guess = mean == 0 ? 1 : min(lacking / mean, counts.shardCount) + 1
    var wanted: [Int] = []
    let most = max(guess, shuffleWindow)
    while known < counts.shardCount, wanted.count < most {
      if !counts.count(at: known).isExact { wanted.append(shard(known, ofLane: lane)) }
      known += 1
    }
    return wanted
  }
}
