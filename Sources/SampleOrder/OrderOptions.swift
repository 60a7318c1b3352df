/// What a user says of the order; nil where nothing was said.
package struct OrderOptions: Hashable, Sendable {
  package var shuffle: OrderParameters.Shuffle?
  package var seed: UInt64?
  package var shuffleWindow: Int?
  package var equalize: OrderParameters.Equalize?
  package var partition: OrderParameters.Partition?

  package init(
    shuffle: OrderParameters.Shuffle? = nil,
    seed: UInt64? = nil,
    shuffleWindow: Int? = nil,
    equalize: OrderParameters.Equalize? = nil,
    partition: OrderParameters.Partition? = nil
  ) {
    self.shuffle = shuffle
    self.seed = seed
    self.shuffleWindow = shuffleWindow
    self.equalize = equalize
    self.partition = partition
  }

  /// Refuses options that ask for another order than a cursor's.
  ///
  /// World size, rank, lanes and epoch are not among them: the first two may change, the others count
  /// at a fresh start only.
  ///
  /// - Throws: `CursorError.contradicts`, naming both values.
  package func check(against cursor: Cursor) throws(CursorError) {
    try Self.check("--shuffle", cursor.shuffle.rawValue, shuffle?.rawValue)
    try Self.check("--seed", String(cursor.seed), seed.map { String($0) })
    try Self.check(
      "--shuffle-window",
      String(cursor.shuffleWindow),
      shuffleWindow.map { String($0) }
    )
    try Self.check("--equalize", cursor.equalize?.rawValue ?? "not set", equalize?.rawValue)
    for (_, split) in cursor.splits.sorted(by: { $0.key < $1.key }) {
      try Self.check("--partition", split.partition.rawValue, partition?.rawValue)
    }
  }

  private static func check(
    _ option: String,
    _ saved: String,
    _ given: String?
  ) throws(CursorError) {
    guard let given, given != saved else { return }
    throw .contradicts(option: option, saved: saved, given: given)
  }
}
