import SampleOrder

/// How many ranks the tree has, who said so, and which one it is limited to.
package struct WorldSize: Hashable, Sendable {
  /// The most ranks that an order can be dealt to.
  package static let maxRanks = OrderParameters.allowedWorldSizes.upperBound

  package let size: Int

  /// For the log, for example `--world-size` or `SLURM_NTASKS`; `default` where nobody said.
  package let source: String

  /// The only rank that is shown, from `--rank`; nil for all.
  ///
  /// A rank from the launcher's environment does not limit the tree, since one mount serves all the
  /// ranks of a node.
  package let onlyRank: Int?

  /// Of the ranks those that read on this machine, as the launcher says; all where it says nothing.
  package let localCount: Int

  /// How the user wrote the option of `onlyRank`.
  private let rankSpelling: String

  /// Set where the size is likely not the number of readers.
  package let warning: String?

  /// The `source` of a size that nobody said.
  package static let defaultSource = "default"

  package static let variables = [
    ("WORLD_SIZE", "RANK"),
    ("SLURM_NTASKS", "SLURM_PROCID"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
  ]

  package init(options: GivenOptions, environment: [String: String]) throws(Failure) {
    let given = try Self.given(options, environment)
    guard (1...Self.maxRanks).contains(given.size) else {
      throw Failure(
        .usage,
        "world size \(given.size) from \(given.source): there are 1 to \(Self.maxRanks) ranks; "
          + "set --world-size to the number of readers"
      )
    }
    size = given.size
    source = given.source
    warning = Self.warning(given, environment)
    if let value = options.value(.rank) {
      let rank = try Self.number(value, of: .rank)
      rankSpelling = GivenOptions.spelling(.rank, value.source)
      // A cursor may know of more ranks than nobody said.
      if given.source != Self.defaultSource || options.list(.cursor).isEmpty {
        try Self.check(rank, from: rankSpelling, against: given)
      }
      onlyRank = rank
    } else {
      // It limits nothing, but one beyond the size shows that the launcher's variables are not of
      // one piece.
      if let name = given.rankVariable, let text = environment[name], !text.isEmpty {
        try Self.check(try Self.number(text, from: name), from: name, against: given)
      }
      onlyRank = nil
      rankSpelling = ""
    }
    localCount = onlyRank == nil ? Self.localCount(of: size, environment) : 1
  }

  /// The same rank of another number of ranks.
  func checked(_ size: Int, _ source: String) throws(Failure) -> WorldSize {
    if let onlyRank {
      try Self.check(onlyRank, from: rankSpelling, against: (size, source, nil))
    }
    return WorldSize(size, source, like: self)
  }

  private init(_ size: Int, _ source: String, like other: WorldSize) {
    self.size = size
    self.source = source
    onlyRank = other.onlyRank
    rankSpelling = other.rankSpelling
    localCount = other.localCount == other.size ? size : min(size, other.localCount)
    warning = nil
  }

  private static func localCount(of size: Int, _ environment: [String: String]) -> Int {
    let said = ["LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE"].lazy
      .compactMap { environment[$0].flatMap { Int($0) } }.first
    return min(size, max(1, said ?? size))
  }

  private typealias Given = (size: Int, source: String, rankVariable: String?)

  private static func given(
    _ options: GivenOptions,
    _ environment: [String: String]
  ) throws(Failure) -> Given {
    if let value = options.value(.worldSize) {
      let size = try number(value, of: .worldSize)
      return (size, GivenOptions.spelling(.worldSize, value.source), nil)
    }
    for (sizeVariable, rankVariable) in variables {
      guard let text = environment[sizeVariable], !text.isEmpty else { continue }
      return (try number(text, from: sizeVariable), sizeVariable, rankVariable)
    }
    return (1, defaultSource, nil)
  }

  private static func check(
    _ rank: Int,
    from spelling: String,
    against given: Given
  ) throws(Failure) {
    guard rank < given.size else {
      throw Failure(
        .usage,
        "rank \(rank) from \(spelling) is not below world size \(given.size) from "
          + "\(given.source); ranks are 0 to \(given.size - 1)"
      )
    }
  }

  private static func number(
    _ value: GivenOptions.Value,
    of name: OptionName
  ) throws(Failure) -> Int {
    try number(value.text, from: GivenOptions.spelling(name, value.source))
  }

  private static func number(_ text: String, from spelling: String) throws(Failure) -> Int {
    guard let number = Int(text), number >= 0, text.first != "+" else {
      throw Failure(.usage, "not a number: \(spelling) is '\(text)'; write a whole number")
    }
    return number
  }

  /// Under torchrun Slurm starts one task a node, and each task starts the readers.
  private static func warning(_ given: Given, _ environment: [String: String]) -> String? {
    guard given.source == "SLURM_NTASKS" else { return nil }
    let nodes = environment["SLURM_NNODES"] ?? environment["SLURM_JOB_NUM_NODES"]
    let isOneTaskPerNode =
      environment["SLURM_NTASKS_PER_NODE"] == "1" || nodes.flatMap { Int($0) } == given.size
    guard isOneTaskPerNode else { return nil }
    return "world size \(given.size) is Slurm's, which runs one task a node; "
      + "where a task starts several readers (torchrun), set --world-size"
  }
}
