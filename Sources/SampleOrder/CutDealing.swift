/// An epoch dealt by samples: the shards laid end to end and cut into lanes at sample boundaries.
///
/// Samples are numbered along that row in the order in which the fresh epoch's lanes give them, lane
/// after lane. Re-dealing takes out what was consumed and cuts the rest again, so one list of ranges
/// tells all that ever happened to the epoch.
struct CutDealing: Sendable {
  /// By place in the row: the shard.
  let shards: [Int32]

  /// By place in the row: how many samples lie before the shard; at the end, how many there are.
  let starts: [Int]

  /// The windows' generator, where samples are permuted.
  let windows: KeyedGenerator?

  let shuffleWindow: Int

  /// The lanes of the fresh epoch, within which windows were formed.
  let freshLanes: EvenCut

  /// By fresh lane: the place in the row of the shard that holds its first sample.
  let firstPlaces: [Int32]

  /// What earlier legs left, where they did not leave all.
  let kept: KeptRanges?

  /// The lanes as they are dealt now.
  let lanes: EvenCut

  /// Lays out a fresh epoch.
  ///
  /// - Throws: `OrderError.countsWanted`, `.tooManySamples`.
  init(_ parameters: OrderParameters, epoch: Int, shape: DatasetShape) throws(OrderError) {
    let wanted = shape.shardsNotCounted()
    guard wanted.isEmpty else { throw .countsWanted(shards: wanted) }
    guard let count = shape.sampleCount else { throw .tooManySamples(max: DatasetShape.maxSamples) }
    shards = EpochOrder.shardList(parameters, epoch: epoch, count: shape.shardCount)
    var starts: [Int] = []
    starts.reserveCapacity(shards.count + 1)
    var start = 0
    for shard in shards {
      starts.append(start)
      start += shape[Int(shard)].lowerBound
    }
    starts.append(start)
    self.starts = starts
    windows =
      parameters.shuffle == .full
      ? KeyedGenerator(.window, seed: parameters.seed, epoch: epoch) : nil
    shuffleWindow = parameters.shuffleWindow
    freshLanes = EvenCut(count, into: parameters.lanes)
    lanes = freshLanes
    kept = nil
    if windows == nil {
      firstPlaces = []
    } else {
      let cut = freshLanes
      firstPlaces = (0..<parameters.lanes).map { lane in
        Int32(starts.lastPlace { $0 <= cut.start(of: lane) })
      }
    }
  }

  /// Deals what is left to other lanes.
  ///
  /// - Parameters:
  ///   - dealing: As it was.
  ///   - taken: What was consumed, numbered as `dealing` numbers its samples; disjoint, ascending.
  ///   - laneCount: How many lanes there are from now on.
  init(_ dealing: CutDealing, without taken: [Range<Int>], laneCount: Int) {
    shards = dealing.shards
    starts = dealing.starts
    windows = dealing.windows
    shuffleWindow = dealing.shuffleWindow
    freshLanes = dealing.freshLanes
    firstPlaces = dealing.firstPlaces
    let before = dealing.kept ?? KeptRanges(ranges: [0..<dealing.freshLanes.count])
    let left = before.removing(taken)
    kept = left
    lanes = EvenCut(left.count, into: laneCount)
  }

  /// The sample of that number along what is left.
  func place(of number: Int) -> Place {
    let fresh = kept?[number] ?? number
    guard let windows else { return sample(at: fresh) }
    let window = window(around: fresh)
    let generator = windows.narrowed(by: UInt64(window.lane)).narrowed(by: UInt64(window.number))
    let range = window.range
    let element = Shuffle.element(at: fresh - range.lowerBound, of: range.count, by: generator)
    return sample(at: range.lowerBound + element)
  }

  /// The sample at a place of the row before windows are permuted.
  private func sample(at element: Int) -> Place {
    let place = starts.lastPlace { $0 <= element }
    return .sample(shard: Int(shards[place]), number: element - starts[place])
  }

  /// The window of the fresh epoch that holds a sample: its lane, its number there, its samples.
  private func window(around element: Int) -> (lane: Int, number: Int, range: Range<Int>) {
    let lane = freshLanes.part(of: element)
    let first = Int(firstPlaces[lane])
    let number = (starts.lastPlace { $0 <= element } - first) / shuffleWindow
    let place = first + number * shuffleWindow
    let end = min(place + shuffleWindow, shards.count)
    let bounds = freshLanes.range(of: lane)
    let lower = max(starts[place], bounds.lowerBound)
    return (lane, number, lower..<min(starts[end], bounds.upperBound))
  }

  /// Names the slices from a sample of a lane onwards, until the lane ends or `body` says no.
  func forEachSlice(lane: Int, from offset: Int, _ body: (ShardSlice) -> Bool) {
    let bounds = lanes.range(of: lane)
    var number = bounds.lowerBound + offset
    while number < bounds.upperBound {
      let whole = kept?.range(around: number) ?? (range: bounds, element: number)
      guard windows != nil else {
        let last = min(whole.range.upperBound, whole.element + bounds.upperBound - number)
        let run = whole.range.lowerBound..<last
        guard visit(run, from: whole.element, isPermuted: false, body) else { return }
        number += last - whole.element
        continue
      }
      let window = window(around: whole.element).range
      guard visit(window, from: window.lowerBound, isPermuted: true, body) else { return }
      number = kept?.number(before: window.upperBound) ?? window.upperBound
    }
  }

  /// Names the slices of a run of the row, from the one that holds `element`.
  private func visit(
    _ run: Range<Int>,
    from element: Int,
    isPermuted: Bool,
    _ body: (ShardSlice) -> Bool
  ) -> Bool {
    var place = starts.lastPlace { $0 <= element }
    while place < shards.count, starts[place] < run.upperBound {
      let lower = max(starts[place], run.lowerBound)
      let upper = min(starts[place + 1], run.upperBound)
      if lower < upper {
        let slice = ShardSlice(
          shard: Int(shards[place]),
          lowerBound: lower - starts[place],
          upperBound: upper - starts[place],
          isPermuted: isPermuted,
          next: max(element, lower) - starts[place]
        )
        guard body(slice) else { return false }
      }
      place += 1
    }
    return true
  }
}
