package import SampleOrder

/// What the user says of the order and of where its progress is kept.
///
/// Nil means "not said": then the cursor decides, and where there is none the default.
package struct OrderSettings: Hashable, Sendable {
  /// What a cursor must not contradict; `--partition auto` is the same as nothing said.
  package let options: OrderOptions

  /// The first epoch, at a fresh start.
  package let firstEpoch: Int?

  /// As asked for, at a fresh start; the order rounds it up to a multiple of the world size.
  package let lanes: Int?

  /// Absolute; files or one directory, the first file is written.
  package let cursorPaths: [String]

  /// Absolute.
  package let ledgerPath: String?

  /// Each rank's epochs end after so many samples; nil where its samples do.
  package let maxRankSamples: Int?

  init(_ reader: OptionReader, user: MountingUser) throws(Failure) {
    let partition = try reader.choice(.partition, of: PartitionChoice.self)
    options = OrderOptions(
      shuffle: try reader.choice(.shuffle, of: OrderParameters.Shuffle.self),
      seed: try reader.seed(),
      shuffleWindow: try reader.number(
        .shuffleWindow,
        in: OrderParameters.allowedShuffleWindows
      ),
      equalize: try reader.choice(.equalize, of: OrderParameters.Equalize.self),
      partition: partition?.partition
    )
    firstEpoch = try reader.number(.epoch, in: EpochOrder.allowedEpochs)
    lanes = try reader.number(.lanes, in: OrderParameters.allowedLanes)
    var paths: [String] = []
    for text in try reader.paths(.cursor) {
      let path = user.absolute(text)
      if !paths.contains(path) { paths.append(path) }
    }
    cursorPaths = paths
    maxRankSamples = try reader.number(.limit, in: 1...DatasetShape.maxSamples)
    if maxRankSamples != nil, let limit = reader.options.value(.limit), !paths.isEmpty {
      let spelling = GivenOptions.spelling(.limit, limit.source)
      throw Failure(
        .usage,
        "\(spelling) is for a first try, whose progress is not kept; leave out --cursor"
      )
    }
    ledgerPath = try reader.paths(.ledger).last.map { user.absolute($0) }
  }

  private enum PartitionChoice: String, CaseIterable {
    case auto
    case samples
    case shards

    var partition: OrderParameters.Partition? {
      switch self {
      case .auto: nil
      case .samples: .samples
      case .shards: .shards
      }
    }
  }
}

// MARK: - World size

extension WorldSize {
  /// What the cursor says counts where nobody else says a size.
  ///
  /// - Parameter cursor: That the mount resumes; nil at a fresh start.
  /// - Returns: The size that counts, with its source.
  /// - Throws: `.usage` for a `--rank` that is not below the size, which could not be checked before.
  package func resuming(_ cursor: Cursor?) throws(Failure) -> WorldSize {
    guard source == Self.defaultSource else { return self }
    guard let size = cursor?.worldSize else { return try checked(size, Self.defaultSource) }
    return try checked(size, "the cursor")
  }
}

extension MountSettings {
  /// The same, with the world size of the cursor where nobody else says one.
  package func resuming(_ cursor: Cursor?) throws(Failure) -> MountSettings {
    try with(worldSize.resuming(cursor))
  }
}
